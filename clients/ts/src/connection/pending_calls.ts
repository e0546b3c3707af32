// Calls without an answer. They survive the loss of a socket: the next one sends them again, with the same op_id.

import { PlauditError } from "../errors.ts";
import { backoffDelay } from "./backoff.ts";
import type { Fields, Frame } from "./codec.ts";

const TIMEOUT_MS = 30_000;
const RETRYABLE = new Set<unknown>(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);
const NO_ANSWER = { code: "DEADLINE_EXCEEDED", reason: "NO_ANSWER", message: "The server did not answer in time." };
const LOST = { code: "UNAVAILABLE", reason: "OUTCOME_UNKNOWN", message: "The socket was lost before the answer." };

export interface CallOptions {
  /** Milliseconds, all attempts included. */
  timeout?: number;
  /** Whether the call is sent again after a lost socket and after UNAVAILABLE; a change then needs an `op_id`. */
  repeat?: boolean;
}

interface PendingCall {
  frame: Frame & { id: number };
  resolve: (answer: Fields) => void;
  reject: (error: PlauditError) => void;
  repeat: boolean;
  timer: ReturnType<typeof setTimeout>;
  isSent: boolean;
  notBefore: number;
  attempts: number;
}

export class PendingCalls {
  readonly #calls = new Map<number, PendingCall>();
  readonly #send: (frame: Frame) => void;
  #nextId = 1;
  #isOpen = false;
  #maxInFlight = 32;

  /** `send(frame)` sends a frame; it is called only between `onOpened` and `onClosed`. */
  constructor(send: (frame: Frame) => void) {
    this.#send = send;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** An id for a frame that is not a call: all frames of a client share one sequence of ids. */
  nextId(): number {
    return this.#nextId++;
  }

  /** Sends a call; resolves with the fields of its `ack`, rejects with `PlauditError`. */
  call(type: string, fields: Fields = {}, { timeout = TIMEOUT_MS, repeat = true }: CallOptions = {}): Promise<Fields> {
    return new Promise((resolve, reject) => {
      const id = this.nextId();
      const timer = setTimeout(() => this.#remove(id, () => reject(new PlauditError(NO_ANSWER))), timeout);
      const frame = { ...fields, type, id };
      this.#calls.set(id, { frame, resolve, reject, repeat, timer, isSent: false, notBefore: 0, attempts: 0 });
      this.#sendWaiting();
    });
  }

  /** A session is open: sends what waits, at most `maxInFlight` calls at a time. */
  onOpened(maxInFlight: number | undefined): void {
    this.#isOpen = true;
    this.#maxInFlight = Math.max(1, maxInFlight || this.#maxInFlight);
    this.#sendWaiting();
  }

  /** The socket is closed: all calls without an answer wait again, unless they must not be repeated. */
  onClosed(): void {
    this.#isOpen = false;
    for (const [id, call] of [...this.#calls]) {
      if (call.isSent && !call.repeat) this.#remove(id, () => call.reject(new PlauditError(LOST)));
      call.isSent = false;
    }
  }

  /** Handles an `ack` or `error` frame; false where it answers none of these calls. */
  onAnswer(frame: Frame): boolean {
    const call = this.#calls.get(Number(frame.id));
    if (!call) return false;
    if (frame.type === "ack") this.#remove(call.frame.id, () => call.resolve(frame));
    else if (call.repeat && RETRYABLE.has(frame.code)) this.#retryLater(call, Number(frame.retry_after_ms ?? 0));
    else this.#remove(call.frame.id, () => call.reject(PlauditError.ofFrame(frame)));
    return true;
  }

  /** Rejects all calls: the client has ended. */
  rejectAll(error: PlauditError): void {
    for (const [id, call] of [...this.#calls]) this.#remove(id, () => call.reject(error));
  }

  #retryLater(call: PendingCall, retryAfter: number): void {
    const ms = backoffDelay(call.attempts++, { minimum: retryAfter });
    call.isSent = false;
    call.notBefore = performance.now() + ms;
    setTimeout(() => this.#sendWaiting(), ms + 1);
  }

  #remove(id: number, finish: () => void): void {
    clearTimeout(this.#calls.get(id)?.timer);
    this.#calls.delete(id);
    finish();
    this.#sendWaiting();
  }

  #sendWaiting(): void {
    if (!this.#isOpen) return;
    let inFlight = 0;
    for (const call of this.#calls.values()) inFlight += Number(call.isSent);
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
