// When to ask for a new token: shortly before the one in force ends.

const LEAD_MS = 60_000;
const SHARE = 0.25;
const LEAST_MS = 200;
const LONGEST_TIMER_MS = 2 ** 31 - 1; // what setTimeout can count

/** What people are told where there will be no other token; by the reason of a close with 4500. */
export const WHY_ENDED = {
  TOKEN_EXPIRED: "The token has expired.",
  TOKEN_REVOKED: "The token was withdrawn.",
  INVALID_TOKEN: "The token is not valid.",
};

/** Milliseconds that a token has left, from a `welcome`, `resumed` or `token_renewed`; null: the server does not say. */
export function timeLeft({ token_expire_time_ms: ends, server_time_ms: now }) {
  // Both by the server's clock: ours may be wrong.
  return ends ? Math.max(Number(ends) - Number(now ?? 0), 1) : null;
}

/** Milliseconds to wait before asking for a new token, for one with `left`; spread, as many are as old as the server. */
export function renewIn(left, random = Math.random) {
  const lead = Math.min(LEAD_MS, left * SHARE) * (1 - random() / 2);
  return Math.min(left - lead, LONGEST_TIMER_MS);
}

/** Milliseconds to wait where there was no new token; null: it is too late, the socket ends first. */
export function tryAgainIn(left) {
  return left / 2 >= LEAST_MS ? left / 2 : null;
}
