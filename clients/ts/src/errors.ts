// The errors of calls.

import type { Frame } from "./connection/codec.ts";

/** A call failed. `code` is the name of the gRPC code, `reason` the error's reason in the domain; `field` is at fault. */
export class PlauditError extends Error {
  readonly code: string;
  readonly reason: string;
  readonly field: string;
  /** How long to wait before another attempt, in milliseconds; 0: the server has not said. */
  readonly retryAfterMs: number;

  constructor({ code = "UNKNOWN", reason = "", message = "", field = "", retryAfterMs = 0 }: ErrorFields) {
    super(message || reason || code);
    this.name = "PlauditError";
    this.code = code;
    this.reason = reason;
    this.field = field;
    this.retryAfterMs = retryAfterMs;
  }

  /** The error of an `error` frame. */
  static ofFrame(frame: Frame): PlauditError {
    const text = (name: string): string => String(frame[name] ?? "");
    return new PlauditError({
      code: text("code"),
      reason: text("reason"),
      message: text("message"),
      field: text("field"),
      retryAfterMs: Number(frame.retry_after_ms ?? 0),
    });
  }
}

export interface ErrorFields {
  code?: string;
  reason?: string;
  message?: string;
  field?: string;
  retryAfterMs?: number;
}
