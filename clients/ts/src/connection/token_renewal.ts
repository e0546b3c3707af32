// The token of a client, and its renewal on the open socket shortly before it expires.

import type { Frame } from "./codec.ts";
import type { Timers } from "./timers.ts";

const LEAD_MS = 60_000;
const LEAD_SHARE = 0.25;
const MIN_RETRY_MS = 200;
const MAX_TIMER_MS = 2 ** 31 - 1; // the longest time of setTimeout

/** A token, or a source of tokens: `fresh` asks for another one than before. */
export type Tokens = string | ((fresh: boolean) => string | Promise<string>);

/** The reason of a close with 4500 after which no other token helps. */
export const REVOKED = "TOKEN_REVOKED";

/** What users read where no other token is available, by the reason of a close with 4500. */
export const TOKEN_ERRORS: Record<string, string> = {
  TOKEN_EXPIRED: "The token has expired.",
  TOKEN_REVOKED: "The token was withdrawn.",
  INVALID_TOKEN: "The token is not valid.",
};

export class TokenRenewal {
  readonly #timers: Timers;
  readonly #source: Tokens;
  readonly #sendToken: (token: string) => number;
  #token = "";
  #expiresAt = 0;
  #requestId: number | null = null;
  #socket = 0;

  /** `sendToken(token)` sends `renew_token` and returns the frame's id. */
  constructor({ timers, source, sendToken }: { timers: Timers; source: Tokens; sendToken: (token: string) => number }) {
    this.#timers = timers;
    this.#source = source;
    this.#sendToken = sendToken;
  }

  /** The token in use; empty before the first. */
  get token(): string {
    return this.#token;
  }

  /** Gets a token for a new socket. Rejects as the source does. */
  async load(fresh: boolean): Promise<string> {
    this.#token = await this.#next(fresh);
    return this.#token;
  }

  /** The server accepted the token, with a `welcome`, `resumed` or `token_renewed`: schedules its renewal. */
  onAccepted(frame: Frame): void {
    const left = remainingMs(frame);
    this.#requestId = null;
    if (left === null) return;
    this.#expiresAt = performance.now() + left;
    this.#timers.after("renew", renewalDelay(left), () => void this.#renew());
  }

  /** Handles an error frame; false where it does not answer `renew_token`. */
  onError(frame: Frame): boolean {
    if (frame.id !== this.#requestId) return false;
    this.#retry();
    return true;
  }

  /** The socket is closed: a token that is on its way is not sent. */
  stop(): void {
    this.#socket += 1;
    this.#requestId = null;
    this.#timers.cancel("renew");
  }

  async #next(fresh: boolean): Promise<string> {
    return typeof this.#source === "string" ? this.#source : this.#source(fresh);
  }

  async #renew(): Promise<void> {
    const socket = this.#socket;
    const token = await this.#next(true).catch(() => this.#token);
    if (socket !== this.#socket) return;
    if (token === this.#token) {
      this.#retry();
      return;
    }
    this.#token = token;
    this.#requestId = this.#sendToken(token);
  }

  // The present token is valid until it expires. Then the server closes the socket, and the next one gets a new token.
  #retry(): void {
    const ms = retryDelay(this.#expiresAt - performance.now());
    if (ms !== null) this.#timers.after("renew", ms, () => void this.#renew());
  }
}

// Null: the server does not say when the token expires. Both times are the server's: the local clock may be wrong.
function remainingMs({ token_expire_time_ms: expires, server_time_ms: now }: Frame): number | null {
  return Number(expires) ? Math.max(Number(expires) - Number(now ?? 0), 1) : null;
}

// Spread at random: after a restart of the server many tokens have the same age.
function renewalDelay(left: number): number {
  const lead = Math.min(LEAD_MS, left * LEAD_SHARE) * (1 - Math.random() / 2);
  return Math.min(left - lead, MAX_TIMER_MS);
}

// Null: the token expires before another attempt.
const retryDelay = (left: number): number | null => (left / 2 >= MIN_RETRY_MS ? left / 2 : null);
