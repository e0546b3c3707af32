// Where this page's tokens come from: the development endpoint, or pasted where a server does not offer it.

const USER = "plaudit.user";
const PASTED = "plaudit.token";
const SPARE_MS = 60_000;

/** No token is to be had without the person's help; `final` stops the reconnects. */
export class NoToken extends Error {
  final = true;
}

/** Who this tab is, kept across reloads: `{user, token}`, or null. `token` only where it was pasted. */
export function remembered() {
  const user = sessionStorage.getItem(USER);
  return user && { user, token: sessionStorage.getItem(PASTED) ?? "" };
}

export function remember({ user, token = "" }) {
  sessionStorage.setItem(USER, user);
  if (token) sessionStorage.setItem(PASTED, token);
  else sessionStorage.removeItem(PASTED);
}

export function forget() {
  sessionStorage.removeItem(USER);
  sessionStorage.removeItem(PASTED);
}

/** A source of tokens for `Connection`: keeps one until shortly before it expires. */
export function tokensOf({ user, token: pasted = "" }) {
  let kept = null;
  return async (fresh) => {
    if (pasted) return pasted;
    if (fresh || !kept || kept.expires - Date.now() < SPARE_MS) kept = await mint(user);
    return kept.token;
  };
}

/** Asks the development endpoint. Throws `NoToken` where there is none, another error where the server is away. */
async function mint(user) {
  const answer = await fetch("api/v1/dev/token", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user }),
  });
  if (answer.status >= 500 || answer.status === 429) throw new Error(`the server answered ${answer.status}`);
  if (!answer.ok) throw new NoToken("This server gives no demo tokens.");
  const { token, expires_in: seconds } = await answer.json();
  return { token, expires: Date.now() + (seconds ?? 600) * 1000 };
}

/** A token as people paste it, without what stands around it. */
export const cleaned = (text) => text.trim().replace(/^bearer\s+/i, "").replaceAll(/\s/g, "");

/** Whether the server takes a token. Throws where the server is away. */
export async function accepts(token) {
  const answer = await fetch("api/v1/reactions/counts?targets=posts/1", { headers: { authorization: `Bearer ${token}` } });
  if (answer.status >= 500) throw new Error(`the server answered ${answer.status}`);
  return answer.status !== 401 && answer.status !== 403;
}

/** The user a pasted token names, as far as can be read without its key. */
export function userOf(token) {
  try {
    const [, body, signature, more] = token.split(".");
    if (!/^[\w-]+$/.test(signature) || more !== undefined) return "";
    return JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/"))).sub ?? "";
  } catch {
    return "";
  }
}
