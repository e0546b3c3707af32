// The pings of a socket: they measure the round trip and detect a socket that is dead.

import type { Timers } from "./timers.ts";

const VISIBLE_INTERVAL_MS = 4_000;
const PONG_TIMEOUT_MS = 10_000;

export class Heartbeat {
  readonly #timers: Timers;
  readonly #sendPing: () => void;
  readonly #onTimeout: () => void;
  #interval = 30_000;
  #pingedAt: number | null = null;

  /** `sendPing()` sends the frame; `onTimeout()` is called where no pong comes within 10 s. */
  constructor({ timers, sendPing, onTimeout }: { timers: Timers; sendPing: () => void; onTimeout: () => void }) {
    this.#timers = timers;
    this.#sendPing = sendPing;
    this.#onTimeout = onTimeout;
  }

  /** Sends the first ping of a socket; `seconds` is the longest interval that the server allows. */
  start(seconds: number): void {
    this.#interval = (seconds || 30) * 1000;
    this.ping();
  }

  /** Sends a ping, unless one is unanswered. */
  ping(): void {
    if (this.#pingedAt !== null) return;
    this.#pingedAt = performance.now();
    this.#sendPing();
    this.#timers.after("pong timeout", PONG_TIMEOUT_MS, this.#onTimeout);
  }

  /** The server answered; returns the round trip in milliseconds and schedules the next ping. */
  onPong(): number {
    const ms = performance.now() - (this.#pingedAt ?? performance.now());
    this.#pingedAt = null;
    this.#timers.cancel("pong timeout");
    // A visible page shows the round trip; a hidden one, or a program, sends no more pings than it must.
    const isVisible = globalThis.document?.hidden === false;
    const interval = isVisible ? Math.min(VISIBLE_INTERVAL_MS, this.#interval) : this.#interval;
    this.#timers.after("ping", interval, () => this.ping());
    return ms;
  }

  stop(): void {
    this.#pingedAt = null;
    this.#timers.cancel("ping");
    this.#timers.cancel("pong timeout");
  }
}
