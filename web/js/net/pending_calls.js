// Calls without an answer. They survive the loss of a socket: the next one sends them again, with the same op_id.

import { backoffDelay } from "./backoff.js";

const TIMEOUT_MS = 30_000;
const RETRYABLE = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);
const NO_ANSWER = { code: "DEADLINE_EXCEEDED", reason: "NO_ANSWER", message: "The server did not answer in time." };

/** A call failed. `code` is the name of the gRPC code, `reason` the error's reason in the domain. */
export class CallError extends Error {
  constructor({ code = "UNKNOWN", reason = "", message = "", retry_after_ms: retryAfter = 0 }) {
    super(message || reason || code);
    this.name = "CallError";
    Object.assign(this, { code, reason, retryAfter });
  }
}

export class PendingCalls {
  #calls = new Map();
  #nextId = 1;
  #send;
  #isOpen = false;
  #maxInFlight = 32;

  /** `send(frame)` sends a frame; it is called only between `onOpened` and `onClosed`. */
  constructor(send) {
    this.#send = send;
  }

  get size() {
    return this.#calls.size;
  }

  /** An id for a frame that is not a call: all frames of a connection share one sequence of ids. */
  nextId() {
    return this.#nextId++;
  }

  /**
   * Sends a call; resolves with its `ack`, rejects with `CallError`. `timeout` in milliseconds, attempts included.
   *
   * The same body is sent again after a reconnect and after `UNAVAILABLE`, so every change needs an `op_id`.
   */
  call(type, fields, { timeout = TIMEOUT_MS } = {}) {
    return new Promise((resolve, reject) => {
      const id = this.nextId();
      const call = { frame: { type, id, ...fields }, resolve, reject, isSent: false, notBefore: 0, attempts: 0 };
      call.timer = setTimeout(() => this.#remove(id, () => reject(new CallError(NO_ANSWER))), timeout);
      this.#calls.set(id, call);
      this.#sendWaiting();
    });
  }

  /** A session is open: sends what waits, at most `maxInFlight` calls at a time. */
  onOpened(maxInFlight) {
    this.#isOpen = true;
    this.#maxInFlight = Math.max(1, maxInFlight || this.#maxInFlight);
    this.#sendWaiting();
  }

  /** The socket is closed: all calls without an answer wait again. */
  onClosed() {
    this.#isOpen = false;
    for (const call of this.#calls.values()) call.isSent = false;
  }

  /** Handles an `ack` or `error` frame; false where it answers none of these calls. */
  onAnswer(frame) {
    const call = this.#calls.get(Number(frame.id));
    if (!call) return false;
    if (frame.type === "ack") this.#remove(call.frame.id, () => call.resolve(frame));
    else if (RETRYABLE.has(frame.code)) this.#retryLater(call, frame.retry_after_ms);
    else this.#remove(call.frame.id, () => call.reject(new CallError(frame)));
    return true;
  }

  /** Rejects all calls: the connection has ended. */
  rejectAll(error) {
    for (const [id, call] of this.#calls) this.#remove(id, () => call.reject(new CallError(error)));
  }

  #retryLater(call, retryAfter) {
    const ms = backoffDelay(call.attempts++, { minimum: retryAfter });
    call.isSent = false;
    call.notBefore = performance.now() + ms;
    setTimeout(() => this.#sendWaiting(), ms + 1);
  }

  #remove(id, finish) {
    clearTimeout(this.#calls.get(id)?.timer);
    this.#calls.delete(id);
    finish();
    this.#sendWaiting();
  }

  #sendWaiting() {
    if (!this.#isOpen) return;
    let inFlight = 0;
    for (const call of this.#calls.values()) inFlight += call.isSent;
    const now = performance.now();
    for (const call of this.#calls.values()) {
      if (inFlight >= this.#maxInFlight) return;
      if (call.isSent || call.notBefore > now) continue;
      call.isSent = true;
      inFlight += 1;
      this.#send(call.frame);
    }
  }
}
