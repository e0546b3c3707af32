// A server in place of WebSocket: the test answers frames and cuts sockets.

import { vi } from "vitest";
import { Client } from "../src/client.ts";
import type { Options } from "../src/client_types.ts";
import type { Fields, Frame } from "../src/connection/codec.ts";
import type { Tokens } from "../src/connection/token_renewal.ts";

export class FakeSocket {
  static all: FakeSocket[] = [];
  readonly CONNECTING = 0;
  binaryType = "blob";
  readyState = 0;
  closedWith: number | undefined;
  readonly sent: Frame[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  readonly url: string;
  readonly protocols: string[];

  constructor(url: string, protocols: string[]) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
  }

  send(text: string): void {
    this.sent.push(JSON.parse(text) as Frame);
  }

  close(code: number): void {
    this.readyState = 3;
    this.closedWith = code;
  }

  /** The handshake is done. */
  open(): void {
    this.readyState = 1;
    this.onopen?.();
  }

  receive(frame: Frame): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** The socket is lost. */
  cut(code = 1006, reason = ""): void {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }

  /** The last frame of a type that was sent. */
  last(type: string): Frame {
    const frame = this.sent.filter((each) => each.type === type).at(-1);
    if (!frame) throw new Error(`no ${type} was sent`);
    return frame;
  }

  /** Answers the last frame of a type. */
  answer(type: string, fields: Fields = {}): void {
    this.receive({ type: "ack", ...fields, id: this.last(type).id! });
  }

  refuse(type: string, fields: Fields): void {
    this.receive({ type: "error", ...fields, id: this.last(type).id! });
  }
}

/** A client whose sockets are `FakeSocket`s. */
export function fakeClient(tokens: Tokens = "token", urls: string | string[] = "ws://host:1", options: Options = {}): Client {
  FakeSocket.all = [];
  return new Client(urls, tokens, { ...options, device: "phone", webSocket: FakeSocket as unknown as typeof WebSocket });
}

/** The newest socket. */
export const socket = (): FakeSocket => FakeSocket.all.at(-1)!;

/** Lets what is due now happen. */
export const settle = (): Promise<unknown> => vi.advanceTimersByTimeAsync(0);

/** Opens the newest socket and its session. */
export async function welcome(fields: Fields = {}): Promise<FakeSocket> {
  await settle();
  const opened = socket();
  opened.open();
  const type = opened.sent[0]!.type === "resume" ? "resumed" : "welcome";
  const frame = { session: "s1", user: "me", resume_token: "t1", heartbeat_seconds: 30, limits: { calls_in_flight: 32 } };
  opened.receive({ type, id: opened.sent[0]!.id!, ...frame, ...fields });
  await settle();
  return opened;
}
