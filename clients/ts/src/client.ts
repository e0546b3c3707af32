// A client of the gateway: a session that lasts over every loss of a socket, its calls and its topics.

import type { ClientEvents, ConnectionState, Options } from "./client_types.ts";
import { backoffDelay } from "./connection/backoff.ts";
import { BAD_TOKEN, NORMAL_CLOSE, RECONNECTING, REPLACED, TIMED_OUT, isTerminal } from "./connection/close.ts";
import type { Fields, Frame } from "./connection/codec.ts";
import { Heartbeat } from "./connection/heartbeat.ts";
import { type CallOptions, PendingCalls } from "./connection/pending_calls.ts";
import { ResumeState, hasBacklog } from "./connection/resume_state.ts";
import { Socket } from "./connection/socket.ts";
import { Subscriptions } from "./connection/subscriptions.ts";
import { Timers } from "./connection/timers.ts";
import { REVOKED, TOKEN_ERRORS, TokenRenewal, type Tokens } from "./connection/token_renewal.ts";
import { PlauditError } from "./errors.ts";
import { Events } from "./events.ts";

const CLIENT = "plaudit-ts/0.1";
const WELCOME_TIMEOUT_MS = 10_000;
// One frame acknowledges what arrives within this time; the server expects it within 500 ms.
const ACK_DELAY_MS = 200;

/** Connects, and connects again after every loss, until `close`. `url`: one or several, tried in turn. */
export function connect(url: string | string[], tokens: Tokens, options: Options = {}): Client {
  return new Client(url, tokens, options);
}

export class Client extends Events<ClientEvents> {
  readonly device: string; // as in the options
  readonly #hello: Fields;
  readonly #socket: Socket;
  #state: ConnectionState = { state: "connecting" };
  #user = "";
  #attempt = 0;
  #refusedTokens = 0;
  #isBacklog = false; // what is pushed was sent while the device was away
  readonly #timers = new Timers();
  readonly #resume = new ResumeState();
  readonly #calls = new PendingCalls((frame) => this.#socket.send(frame));
  readonly #subscriptions = new Subscriptions({
    timers: this.#timers,
    request: (frame) => this.#request(frame),
    onSubscribed: (topics) => this.emit("subscribed", { topics }),
    onRefused: (topics, error) => this.emit("refused", { topics, error }),
  });
  readonly #heartbeat = new Heartbeat({
    timers: this.#timers,
    sendPing: () => this.#request({ type: "ping", seq: String(this.#resume.seq) }),
    onTimeout: () => this.#onLost(TIMED_OUT, "no pong"),
  });
  readonly #token: TokenRenewal;
  #resolveReady!: () => void;
  #rejectReady!: (error: PlauditError) => void;

  /** Resolves with the first session; rejects where the client ends before. */
  readonly ready = new Promise<void>((resolve, reject) => {
    this.#resolveReady = resolve;
    this.#rejectReady = reject;
  });

  constructor(url: string | string[], tokens: Tokens, { device = "", backlog = false, client = CLIENT, webSocket, codec }: Options) {
    super();
    if (backlog && !device) throw new TypeError("a backlog is that of a device: give the option device");
    this.device = device;
    this.#hello = { device, client, ...(backlog ? { backlog } : {}) };
    this.#socket = new Socket(url, { codec, webSocket }, {
      onOpen: () => this.#sendHello(),
      onFrame: (frame) => this.#onFrame(frame),
      onInvalid: (error) => {
        console.warn("plaudit: a message is no frame:", error);
        this.#resumeAgain();
      },
      onLost: (code, reason) => this.#onLost(code, reason),
    });
    const sendToken = (token: string) => this.#request({ type: "renew_token", token });
    this.#token = new TokenRenewal({ timers: this.#timers, source: tokens, sendToken });
    this.ready.catch(() => {}); // who does not wait for it reads the events
    globalThis.addEventListener?.("online", this.wake);
    globalThis.document?.addEventListener("visibilitychange", this.wake);
    // The caller adds its listeners first.
    queueMicrotask(() => this.#isEnded || void this.#connect());
  }

  get state(): ConnectionState["state"] {
    return this.#state.state;
  }

  /** The id of the user, from the token; empty before the first session. */
  get user(): string {
    return this.#user;
  }

  /** The id of the session; empty before the first one. */
  get session(): string {
    return this.#resume.session;
  }

  /** Ends the session. Calls without an answer fail with CANCELLED. */
  close(): void {
    if (!this.#isEnded) this.#end(NORMAL_CLOSE, "closed by the client");
  }

  /** Reconnects at once instead of waiting, or checks the socket: the network is back, or the page is visible again. */
  readonly wake = (): void => {
    if (this.#state.state === "waiting" && !globalThis.document?.hidden) void this.#connect();
    else if (this.#state.state === "live") this.#heartbeat.ping();
  };

  /** Calls an rpc by its frame type, now or once there is a session; rejects with `PlauditError`. */
  call(type: string, fields: Fields = {}, options?: CallOptions): Promise<Fields> {
    if (this.#state.state === "ended") return Promise.reject(ended(this.#state.reason));
    return this.#calls.call(type, fields, options);
  }

  /** Subscribes to topics, in this session and every later one, until they are unsubscribed as often. */
  subscribe(topics: Iterable<string>): void {
    this.#subscriptions.add(topics);
  }

  unsubscribe(topics: Iterable<string>): void {
    this.#subscriptions.remove(topics);
  }

  get #isEnded(): boolean {
    return this.#state.state === "ended";
  }

  // `refusal`: why the server refused the previous token; empty where it did not.
  async #connect(refusal = ""): Promise<void> {
    this.#timers.cancelAll();
    const connecting: ConnectionState = { state: "connecting" };
    this.#enter(connecting);
    const previous = this.#token.token;
    let token: string;
    try {
      token = await this.#token.load(Boolean(refusal) || this.#attempt % 4 === 3);
    } catch (error) {
      if (this.#state !== connecting) return;
      if ((error as { final?: boolean }).final) this.#end(BAD_TOKEN, (error as Error).message);
      else this.#reconnectLater();
      return;
    }
    if (this.#state !== connecting) return;
    if (refusal && token === previous) this.#end(BAD_TOKEN, refusal);
    else this.#openSocket(token);
  }

  #openSocket(token: string): void {
    this.#socket.open(token);
    this.#timers.after("welcome timeout", WELCOME_TIMEOUT_MS, () => this.#onLost(TIMED_OUT, "no answer"));
  }

  #onFrame(frame: Frame): void {
    switch (frame.type) {
      case "welcome":
      case "resumed":
        return this.#onWelcome(frame);
      case "pong":
        return this.#onPong(frame);
      case "token_renewed":
        return this.#token.onAccepted(frame);
      case "goaway":
        return this.#onGoaway(Number(frame.reconnect_after_ms ?? 0));
      case "lag":
        return this.emit("lag", { merged: Number(frame.merged) });
      case "backlog_done":
        this.#isBacklog = false;
        return this.emit("backlog", { incomplete: (frame.incomplete as string[] | undefined) ?? [] });
      case "subscribed":
        return this.#subscriptions.onAnswer(frame);
      case "subscription_ended":
        return this.#subscriptions.onEnded(frame);
      case "ack":
        this.#attempt = 0; // this server works
        this.#calls.onAnswer(frame);
        return;
      case "error":
        return this.#onError(frame);
      default:
        if (frame.topic) this.#onPush(frame);
    }
  }

  #onWelcome(frame: Frame): void {
    this.#refusedTokens = 0;
    this.#user = String(frame.user ?? "");
    this.#timers.cancel("welcome timeout");
    this.#token.onAccepted(frame);
    const resumed = this.#resume.onOpened(frame);
    this.#isBacklog = Boolean(this.#hello.backlog) && hasBacklog(frame);
    this.#enter({ state: "live" });
    const subscribed = this.#subscriptions.onOpened(resumed);
    this.emit("welcome", { frame, complete: frame.verdict === "complete" });
    this.emit("subscribed", { topics: subscribed });
    this.#calls.onOpened((frame.limits as { calls_in_flight?: number } | undefined)?.calls_in_flight);
    this.#heartbeat.start(Number(frame.heartbeat_seconds));
    this.#resolveReady();
  }

  #onPush(frame: Frame): void {
    const isComplete = this.#resume.onPush(frame);
    this.emit("push", { frame, isBacklog: this.#isBacklog });
    if (!isComplete) this.#resumeAgain();
    else if (frame.seq && !this.#timers.has("ack")) this.#timers.after("ack", ACK_DELAY_MS, () => this.#acknowledge());
  }

  #acknowledge(): void {
    this.#socket.send({ type: "ack", seq: String(this.#resume.seq) });
  }

  #onPong(frame: Frame): void {
    this.#attempt = 0; // this server works
    this.emit("pong", { ms: this.#heartbeat.onPong() });
    if (!this.#resume.onPong(frame)) this.#resumeAgain();
  }

  #onError(frame: Frame): void {
    if (this.#calls.onAnswer(frame) || this.#token.onError(frame) || this.#subscriptions.onError(frame)) return;
    console.warn("plaudit:", frame.code, frame.reason, frame.message);
    if (this.#state.state !== "connecting") return;
    this.#resume.reset();
    this.#drop();
    this.#reconnectLater(Number(frame.retry_after_ms ?? 0));
  }

  // Until it is time to reconnect the old socket stays open: it may still answer calls.
  #onGoaway(afterMs: number): void {
    this.#socket.useNextUrl();
    this.#enter({ state: "moving", retryAt: performance.now() + afterMs });
    this.#timers.after("reconnect", afterMs, () => {
      this.#drop();
      void this.#connect();
    });
  }

  #onLost(code: number, reason: string): void {
    const before = this.#state;
    this.#drop();
    const text = code === BAD_TOKEN ? (TOKEN_ERRORS[reason] ?? reason) : reason;
    if (code === BAD_TOKEN && reason !== REVOKED && this.#refusedTokens++ === 0) void this.#connect(text || "token refused");
    else if (isTerminal(code)) this.#end(code, text);
    // The node is gone. The timer of its `goaway` continues: it spreads the reconnects of all clients.
    else if (before.state === "moving") this.#enter({ state: "waiting", retryAt: before.retryAt, attempt: this.#attempt });
    else this.#reconnectLater();
  }

  // A push is missing: the server sends it again when the session is resumed.
  #resumeAgain(): void {
    this.#drop();
    this.#reconnectLater();
  }

  #reconnectLater(minimum = 0): void {
    if (this.#state.state === "connecting") this.#socket.useNextUrl();
    const attempt = this.#attempt++;
    const ms = backoffDelay(attempt, { minimum });
    this.#enter({ state: "waiting", retryAt: performance.now() + ms, attempt });
    this.#timers.after("reconnect", ms, () => void this.#connect());
  }

  #drop(code = RECONNECTING): void {
    this.#timers.cancel("welcome timeout");
    this.#timers.cancel("ack"); // `resume` has the number
    this.#heartbeat.stop();
    this.#token.stop();
    this.#subscriptions.onClosed();
    this.#calls.onClosed();
    this.#socket.close(code);
  }

  #end(code: number, reason: string): void {
    globalThis.removeEventListener?.("online", this.wake);
    globalThis.document?.removeEventListener("visibilitychange", this.wake);
    this.#drop(NORMAL_CLOSE);
    this.#timers.cancelAll();
    this.#enter({ state: "ended", code, reason, replaced: code === REPLACED });
    this.#calls.rejectAll(ended(reason));
    this.#rejectReady(ended(reason));
  }

  #sendHello(): void {
    const resume = this.#resume.request(this.#subscriptions.topics);
    this.#request({ type: resume ? "resume" : "hello", ...this.#hello, ...resume });
  }

  // Sends a frame under a new id, which it returns.
  #request(frame: Frame): number {
    const id = this.#calls.nextId();
    this.#socket.send({ ...frame, id });
    return id;
  }

  #enter(state: ConnectionState): void {
    this.#state = state;
    this.emit("state", state);
  }
}

const ended = (reason: string) => new PlauditError({ code: "CANCELLED", reason: "CONNECTION_ENDED", message: reason });
