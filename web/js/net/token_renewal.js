// The token of a connection, and its renewal on the open socket shortly before it expires.

const LEAD_MS = 60_000;
const LEAD_SHARE = 0.25;
const MIN_RETRY_MS = 200;
const MAX_TIMER_MS = 2 ** 31 - 1; // the longest time of setTimeout

/** The reason of a close with 4500 after which no other token helps. */
export const REVOKED = "TOKEN_REVOKED";

/** What users read where no other token is available, by the reason of a close with 4500. */
export const TOKEN_ERRORS = {
  TOKEN_EXPIRED: "The token has expired.",
  TOKEN_REVOKED: "The token was withdrawn.",
  INVALID_TOKEN: "The token is not valid.",
};

export class TokenRenewal {
  #timers;
  #source;
  #sendToken;
  #token = "";
  #expiresAt = 0;
  #requestId = null;
  #socket = 0;

  /** `source(fresh)` resolves with a token; `sendToken(token)` sends `renew_token` and returns the frame's id. */
  constructor({ timers, source, sendToken }) {
    this.#timers = timers;
    this.#source = source;
    this.#sendToken = sendToken;
  }

  /** The token in use; empty before the first. */
  get token() {
    return this.#token;
  }

  /** Gets a token for a new socket. Rejects as the source does. */
  async load(fresh) {
    this.#token = await this.#source(fresh);
    return this.#token;
  }

  /** The server accepted the token, with a `welcome`, `resumed` or `token_renewed`: schedules its renewal. */
  onAccepted(frame) {
    const left = remainingMs(frame);
    this.#requestId = null;
    if (left === null) return;
    this.#expiresAt = performance.now() + left;
    this.#timers.after("renew", renewalDelay(left), () => this.#renew());
  }

  /** Handles an error frame; false where it does not answer `renew_token`. */
  onError(frame) {
    if (frame.id !== this.#requestId) return false;
    this.#retry();
    return true;
  }

  /** The socket is closed: a token that is on its way is not sent. */
  stop() {
    this.#socket += 1;
    this.#requestId = null;
    this.#timers.cancel("renew");
  }

  async #renew() {
    const socket = this.#socket;
    const token = await this.#source(true).catch(() => this.#token);
    if (socket !== this.#socket) return;
    if (token === this.#token) {
      this.#retry();
      return;
    }
    this.#token = token;
    this.#requestId = this.#sendToken(token);
  }

  // The present token is valid until it expires. Then the server closes the socket, and the next one gets a new token.
  #retry() {
    const ms = retryDelay(this.#expiresAt - performance.now());
    if (ms !== null) this.#timers.after("renew", ms, () => this.#renew());
  }
}

// Null: the server does not say when the token expires. Both times are the server's: the local clock may be wrong.
function remainingMs({ token_expire_time_ms: expires, server_time_ms: now }) {
  return expires ? Math.max(Number(expires) - Number(now ?? 0), 1) : null;
}

// Spread at random: after a restart of the server many tokens have the same age.
function renewalDelay(left) {
  const lead = Math.min(LEAD_MS, left * LEAD_SHARE) * (1 - Math.random() / 2);
  return Math.min(left - lead, MAX_TIMER_MS);
}

// Null: the token expires before another attempt.
const retryDelay = (left) => (left / 2 >= MIN_RETRY_MS ? left / 2 : null);
