// What a client is made with, and what it tells.

import type { Codec, Frame } from "./connection/codec.ts";
import type { PlauditError } from "./errors.ts";

export interface Options {
  /** The device, stable across sessions; a later login of the same device ends this client. Empty: a new device. */
  device?: string;
  /**
   * Whether messages that the device has not received are pushed first; their senders see them as delivered then. Needs a
   * `device`. Without it, only what is pushed live is delivered.
   */
  backlog?: boolean;
  /** The name and version of the application, for the operators' logs. */
  client?: string;
  /** The class of sockets, where `WebSocket` is not global. */
  webSocket?: typeof WebSocket;
  /** How frames are written: JSON, or `binaryCodec()` of `plaudit-client/proto`. */
  codec?: Codec;
}

/** The state of the connection. `retryAt` is by `performance.now()`; `replaced`: another login of the device ended it. */
export type ConnectionState =
  | { state: "connecting" | "live" }
  | { state: "waiting"; retryAt: number; attempt: number }
  | { state: "moving"; retryAt: number }
  | { state: "ended"; code: number; reason: string; replaced: boolean };

export interface ClientEvents {
  state: ConnectionState;
  /** A session is open. `complete`: it was resumed, and no push was missed. */
  welcome: { frame: Frame; complete: boolean };
  /** All later changes of the topics are pushed: load their state now, not before. */
  subscribed: { topics: string[] };
  /** The server does not give these topics. */
  refused: { topics: string[]; error: PlauditError };
  /** `isBacklog`: a message that was sent while the device was away. */
  push: { frame: Frame; isBacklog: boolean };
  /** The option `backlog`: all messages that the device had not received are pushed, but for those of `incomplete` conversations. */
  backlog: { incomplete: string[] };
  pong: { ms: number };
  lag: { merged: number };
}
