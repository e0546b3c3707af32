// One socket at a time, to one of several URLs, with frames in place of messages.

import { closeSocket } from "./close.ts";
import { type Codec, type Frame, jsonCodec } from "./codec.ts";
import { socketUrls } from "./urls.ts";

const OPEN = 1;

export interface SocketHost {
  onOpen: () => void;
  onFrame: (frame: Frame) => void;
  /** A message was no frame. */
  onInvalid: (error: unknown) => void;
  /** The socket was lost, or could not be opened. */
  onLost: (code: number, reason: string) => void;
}

export class Socket {
  readonly #urls: string[];
  readonly #codec: Codec;
  readonly #class: typeof WebSocket;
  readonly #host: SocketHost;
  #socket: WebSocket | null = null;

  constructor(
    url: string | string[],
    { codec = jsonCodec, webSocket = globalThis.WebSocket }: { codec?: Codec | undefined; webSocket?: typeof WebSocket | undefined },
    host: SocketHost,
  ) {
    this.#urls = socketUrls(url);
    this.#codec = codec;
    this.#class = webSocket;
    this.#host = host;
    if (!webSocket) throw new TypeError("there is no global WebSocket: start Node 20 with --experimental-websocket, or give the option webSocket");
  }

  open(token: string): void {
    const socket = new this.#class(this.#urls[0]!, [this.#codec.subprotocol, `bearer.${token}`]);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    socket.onopen = () => this.#host.onOpen();
    socket.onmessage = ({ data }) => socket === this.#socket && this.#onMessage(data);
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#host.onLost(code, reason);
  }

  /** Sends a frame; without an open socket it is lost. */
  send(frame: Frame): void {
    if (this.#socket?.readyState === OPEN) this.#socket.send(this.#codec.encode(frame));
  }

  /** Closes the socket, if there is one; the host hears nothing more of it. */
  close(code: number): void {
    const socket = this.#socket;
    this.#socket = null;
    if (socket) closeSocket(socket, code);
  }

  /** The next socket is opened to the next URL. */
  useNextUrl(): void {
    this.#urls.push(this.#urls.shift()!);
  }

  #onMessage(data: string | ArrayBuffer): void {
    let frame: Frame;
    try {
      frame = this.#codec.decode(data);
    } catch (error) {
      this.#host.onInvalid(error);
      return;
    }
    this.#host.onFrame(frame);
  }
}
