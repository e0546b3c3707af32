// Sources of tokens: the server's login for development, or a token that the user pastes.

const USER_KEY = "plaudit.user";
const TOKEN_KEY = "plaudit.token";
const NOTICE_KEY = "plaudit.notice";
const RENEW_BEFORE_EXPIRY_MS = 60_000;
const DEFAULT_LIFETIME_SECONDS = 600;

/** The path of an API call: the modules are two folders below the root, wherever the page is mounted. */
const api = (path) => new URL(`../../api/v1/${path}`, import.meta.url);

/** The server gives no token without the user's help. `final`: another attempt does not change that. */
export class TokenUnavailable extends Error {
  final = true;
}

/** The user of this tab, saved across reloads: `{user, token}`, or null. `token` is empty unless it was pasted. */
export function savedUser() {
  const user = sessionStorage.getItem(USER_KEY);
  return user && { user, token: sessionStorage.getItem(TOKEN_KEY) ?? "" };
}

export function saveUser({ user, token = "" }) {
  sessionStorage.setItem(USER_KEY, user);
  if (token) sessionStorage.setItem(TOKEN_KEY, token);
  else sessionStorage.removeItem(TOKEN_KEY);
}

export function clearSavedUser() {
  sessionStorage.removeItem(USER_KEY);
  sessionStorage.removeItem(TOKEN_KEY);
}

/** Keeps a text for the sign-in that the page shows next. */
export const saveNotice = (text) => sessionStorage.setItem(NOTICE_KEY, text);

/** The text for the sign-in, once; empty: none. */
export function takeNotice() {
  const text = sessionStorage.getItem(NOTICE_KEY) ?? "";
  sessionStorage.removeItem(NOTICE_KEY);
  return text;
}

/** A source of tokens for `Connection`. Caches a demo token until shortly before it expires. */
export function tokenSource({ user, token: pasted = "" }) {
  let cached = null;
  return async (fresh) => {
    if (pasted) return pasted;
    if (fresh || !cached || cached.expires - Date.now() < RENEW_BEFORE_EXPIRY_MS) cached = await requestDemoToken(user);
    return cached.token;
  };
}

/** Whether the server gives demo tokens. Throws where the server cannot be reached. */
export async function givesDemoTokens() {
  const response = await fetch(api("dev"));
  return response.ok && (await response.json()).tokens;
}

/**
 * A demo token for a user: `{token, expires}`, the time in milliseconds since 1970.
 *
 * Throws `TokenUnavailable` where the server gives none, another error where the server cannot be reached.
 */
export async function requestDemoToken(user) {
  const response = await fetch(api("dev/token"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ user }),
  });
  if (response.status >= 500 || response.status === 429) throw new Error(`the server answered ${response.status}`);
  if (!response.ok) throw new TokenUnavailable("This server gives no demo tokens.");
  const { token, expires_in: seconds = DEFAULT_LIFETIME_SECONDS } = await response.json();
  return { token, expires: Date.now() + seconds * 1000 };
}

/** A pasted token without the scheme, the spaces and the line breaks around and within it. */
export const cleanToken = (text) => text.trim().replace(/^bearer\s+/i, "").replaceAll(/\s/g, "");

/** Whether the server accepts a token. Throws where the server cannot be reached. */
export async function isTokenAccepted(token) {
  const response = await fetch(api("reactions/counts?targets=posts/1"), { headers: { authorization: `Bearer ${token}` } });
  if (response.status >= 500) throw new Error(`the server answered ${response.status}`);
  return response.status !== 401 && response.status !== 403;
}

/** The user that a token names, read without checking its signature; empty: this is no token. */
export function userOfToken(token) {
  try {
    const [, body, signature, more] = token.split(".");
    if (!/^[\w-]+$/.test(signature) || more !== undefined) return "";
    return JSON.parse(atob(body.replaceAll("-", "+").replaceAll("_", "/"))).sub ?? "";
  } catch {
    return "";
  }
}
