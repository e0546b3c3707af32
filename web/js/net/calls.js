// Calls that wait for their answer: they outlive a connection and are sent again as they were, with the same op_id.

import { delay } from "./backoff.js";

const PATIENCE_MS = 30_000;
const TRY_AGAIN = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);

/** A call failed for good. `code` is the gRPC code's name, `reason` the domain's. */
export class CallError extends Error {
  constructor({ code = "UNKNOWN", reason = "", message = "", retry_after_ms: retryAfter = 0 }) {
    super(message || reason || code);
    this.name = "CallError";
    Object.assign(this, { code, reason, retryAfter });
  }
}

/** The calls of one connection. `send(frame)` puts a frame on the socket; it is only used while `open`. */
export class Calls {
  #waiting = new Map();
  #nextId = 1;
  #send;
  #open = false;
  #most = 32;

  constructor(send) {
    this.#send = send;
  }

  /** An id for a frame that is not a call: ids are shared by all frames of a connection. */
  nextId() {
    return this.#nextId++;
  }

  /**
   * Sends a call and resolves with its answer. It is sent again after a reconnect and after `UNAVAILABLE`, always with
   * the same body; every change must therefore carry an `op_id`. Rejects with `CallError`.
   */
  make(type, fields, { patience = PATIENCE_MS } = {}) {
    return new Promise((resolve, reject) => {
      const id = this.nextId();
      const call = { frame: { type, id, ...fields }, resolve, reject, sent: false, due: 0, attempts: 0 };
      const gaveUp = { code: "DEADLINE_EXCEEDED", reason: "NO_ANSWER", message: "The server did not answer in time." };
      call.timer = setTimeout(() => this.#settle(id, () => reject(new CallError(gaveUp))), patience);
      this.#waiting.set(id, call);
      this.#pump();
    });
  }

  /** The connection is ready: everything unanswered goes out, at most `most` in flight. */
  opened(most) {
    this.#open = true;
    this.#most = Math.max(1, most || this.#most);
    this.#pump();
  }

  /** The connection is gone: what was on its way counts as not sent. */
  closed() {
    this.#open = false;
    for (const call of this.#waiting.values()) call.sent = false;
  }

  /** Takes an `ack` or `error` frame; false where it answers none of these calls. */
  answer(frame) {
    const call = this.#waiting.get(Number(frame.id));
    if (!call) return false;
    if (frame.type === "ack") this.#settle(call.frame.id, () => call.resolve(frame));
    else if (TRY_AGAIN.has(frame.code)) this.#again(call, frame.retry_after_ms);
    else this.#settle(call.frame.id, () => call.reject(new CallError(frame)));
    return true;
  }

  /** Gives up on everything, for a connection that has ended. */
  fail(error) {
    for (const [id, call] of this.#waiting) this.#settle(id, () => call.reject(new CallError(error)));
  }

  get size() {
    return this.#waiting.size;
  }

  #again(call, retryAfter) {
    const wait = delay(call.attempts++, { atLeast: retryAfter });
    call.sent = false;
    call.due = performance.now() + wait;
    setTimeout(() => this.#pump(), wait + 1);
  }

  #settle(id, finish) {
    clearTimeout(this.#waiting.get(id)?.timer);
    this.#waiting.delete(id);
    finish();
    this.#pump();
  }

  #pump() {
    if (!this.#open) return;
    let inFlight = 0;
    for (const call of this.#waiting.values()) inFlight += call.sent;
    const now = performance.now();
    for (const call of this.#waiting.values()) {
      if (inFlight >= this.#most) return;
      if (call.sent || call.due > now) continue;
      call.sent = true;
      inFlight += 1;
      this.#send(call.frame);
    }
  }
}
