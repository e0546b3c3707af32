// A connection to the gateway that reconnects, and resumes its session, after every loss of a socket.
//
// Events: "state" {state, …}, "welcome" {frame, complete}, "subscribed" {topics}, "push" {frame}, "pong" {ms}, "lag" {merged}.
// `complete`: the session was resumed and no push is missing. After "subscribed" all later changes of the topics are pushed:
// load their state then, not before.
// States: connecting, live, waiting {retryAt, attempt}, moving {retryAt}, ended {code, reason, replaced}.

import { backoffDelay } from "./backoff.js";
import { BAD_TOKEN, NORMAL_CLOSE, RECONNECTING, REPLACED, TIMED_OUT, closeSocket, isTerminal } from "./close.js";
import { Heartbeat } from "./heartbeat.js";
import { PendingCalls } from "./pending_calls.js";
import { ResumeState } from "./resume_state.js";
import { Timers } from "./timers.js";
import { REVOKED, TOKEN_ERRORS, TokenRenewal } from "./token_renewal.js";

const SUBPROTOCOL = "plaudit.v1.json";
const CLIENT = "plaudit-web/0.1";
const WELCOME_TIMEOUT_MS = 10_000;
const TOPICS_PER_FRAME = 128;

export class Connection extends EventTarget {
  #url;
  #device;
  #socket = null;
  #state = { state: "idle" };
  #attempt = 0;
  #refusedTokens = 0;
  #topics = new Set();
  #timers = new Timers();
  #resume = new ResumeState();
  #calls = new PendingCalls((frame) => this.#send(frame));
  #heartbeat = new Heartbeat({
    timers: this.#timers,
    sendPing: () => this.#request({ type: "ping", seq: String(this.#resume.seq) }),
    onTimeout: () => this.#onLost(TIMED_OUT, "no pong"),
  });
  #token;

  /** `tokens(fresh)` resolves with a token, a new one where `fresh`; `device` as in `Hello`. */
  constructor({ url, tokens, device }) {
    super();
    this.#url = url;
    this.#device = device;
    this.#token = new TokenRenewal({
      timers: this.#timers,
      source: tokens,
      sendToken: (token) => this.#request({ type: "renew_token", token }),
    });
    this.wake = this.wake.bind(this);
  }

  get state() { return this.#state.state; }

  /** Connects, and reconnects until `close`. */
  open() {
    globalThis.addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    return this.#connect();
  }

  close() {
    globalThis.removeEventListener("online", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.#end(NORMAL_CLOSE, "closed by the client");
  }

  /** Reconnects at once instead of waiting, or checks the socket: the network is back, or the page is visible again. */
  wake() {
    if (this.#state.state === "waiting" && !document.hidden) this.#connect();
    else if (this.#state.state === "live") this.#heartbeat.ping();
  }

  /** Calls an rpc by its frame type; see `PendingCalls.call`. */
  call(type, fields, options) {
    return this.#calls.call(type, fields, options);
  }

  /** Subscribes to topics, now and in every later session. */
  subscribe(topics) {
    const added = topics.filter((topic) => !this.#topics.has(topic));
    for (const topic of added) this.#topics.add(topic);
    if (this.#state.state === "live") this.#sendSubscribe(added);
  }

  // `refusal`: why the server refused the previous token; empty where it did not.
  async #connect(refusal = "") {
    this.#timers.cancelAll();
    this.#enter({ state: "connecting" });
    const previous = this.#token.token;
    let token;
    try {
      token = await this.#token.load(Boolean(refusal) || this.#attempt % 4 === 3);
    } catch (error) {
      if (error.final) this.#end(BAD_TOKEN, error.message);
      else this.#reconnectLater();
      return;
    }
    if (this.#state.state !== "connecting") return;
    if (refusal && token === previous) this.#end(BAD_TOKEN, refusal);
    else this.#openSocket(token);
  }

  #openSocket(token) {
    const socket = new WebSocket(this.#url, [SUBPROTOCOL, `bearer.${token}`]);
    this.#socket = socket;
    socket.onopen = () => this.#sendHello();
    socket.onmessage = ({ data }) => socket === this.#socket && this.#onFrame(JSON.parse(data));
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#onLost(code, reason);
    this.#timers.after("welcome timeout", WELCOME_TIMEOUT_MS, () => this.#onLost(TIMED_OUT, "no answer"));
  }

  #onFrame(frame) {
    switch (frame.type) {
      case "welcome":
      case "resumed":
        return this.#onWelcome(frame);
      case "pong":
        return this.#onPong(frame);
      case "token_renewed":
        return this.#token.onAccepted(frame);
      case "goaway":
        return this.#onGoaway(frame.reconnect_after_ms);
      case "lag":
        return this.#emit("lag", { merged: frame.merged });
      case "subscribed":
        return this.#emit("subscribed", { topics: frame.topics });
      case "ack":
        return this.#calls.onAnswer(frame);
      case "error":
        return this.#onError(frame);
      default:
        return frame.topic && this.#onPush(frame);
    }
  }

  #onWelcome(frame) {
    this.#attempt = 0;
    this.#refusedTokens = 0;
    this.#timers.cancel("welcome timeout");
    this.#token.onAccepted(frame);
    const subscribed = new Set(this.#resume.onOpened(frame));
    this.#enter({ state: "live" });
    this.#sendSubscribe([...this.#topics].filter((topic) => !subscribed.has(topic)));
    this.#emit("welcome", { frame, complete: frame.verdict === "complete" });
    this.#emit("subscribed", { topics: [...subscribed] });
    this.#calls.onOpened(frame.limits?.calls_in_flight);
    this.#heartbeat.start(frame.heartbeat_seconds);
  }

  #onPush(frame) {
    const isComplete = this.#resume.onPush(frame);
    this.#emit("push", { frame });
    if (!isComplete) this.#resumeAgain();
  }

  #onPong(frame) {
    this.#emit("pong", { ms: this.#heartbeat.onPong() });
    if (!this.#resume.onPong(frame)) this.#resumeAgain();
  }

  #onError(frame) {
    if (this.#calls.onAnswer(frame) || this.#token.onError(frame)) return;
    console.warn("plaudit:", frame.code, frame.reason, frame.message);
    if (this.#state.state !== "connecting") return;
    this.#resume.reset();
    this.#drop();
    this.#reconnectLater(frame.retry_after_ms);
  }

  // Until it is time to reconnect the old socket stays open: it may still answer calls.
  #onGoaway(afterMs) {
    this.#enter({ state: "moving", retryAt: performance.now() + afterMs });
    this.#timers.after("reconnect", afterMs, () => {
      this.#drop();
      this.#connect();
    });
  }

  #onLost(code, reason) {
    const { state, retryAt } = this.#state;
    this.#drop();
    const text = code === BAD_TOKEN ? (TOKEN_ERRORS[reason] ?? reason) : reason;
    if (code === BAD_TOKEN && reason !== REVOKED && this.#refusedTokens++ === 0) this.#connect(text || "token refused");
    else if (isTerminal(code)) this.#end(code, text);
    // The node is gone. The timer of its `goaway` continues: it spreads the reconnects of all clients.
    else if (state === "moving") this.#enter({ state: "waiting", retryAt, attempt: this.#attempt });
    else this.#reconnectLater();
  }

  // A push is missing: the server sends it again when the session is resumed.
  #resumeAgain() {
    this.#drop();
    this.#reconnectLater();
  }

  #reconnectLater(minimum = 0) {
    const attempt = this.#attempt++;
    const ms = backoffDelay(attempt, { minimum });
    this.#enter({ state: "waiting", retryAt: performance.now() + ms, attempt });
    this.#timers.after("reconnect", ms, () => this.#connect());
  }

  #drop(code = RECONNECTING) {
    const socket = this.#socket;
    this.#socket = null;
    this.#timers.cancel("welcome timeout");
    this.#heartbeat.stop();
    this.#token.stop();
    this.#calls.onClosed();
    if (socket) closeSocket(socket, code);
  }

  #end(code, reason) {
    this.#drop(NORMAL_CLOSE);
    this.#timers.cancelAll();
    this.#enter({ state: "ended", code, reason, replaced: code === REPLACED });
    this.#calls.rejectAll({ code: "CANCELLED", reason: "CONNECTION_ENDED", message: reason });
  }

  #sendHello() {
    const resume = this.#resume.request(this.#topics);
    this.#request({ type: resume ? "resume" : "hello", device: this.#device, client: CLIENT, ...resume });
  }

  #sendSubscribe(topics) {
    for (let from = 0; from < topics.length; from += TOPICS_PER_FRAME) {
      this.#request({ type: "subscribe", topics: topics.slice(from, from + TOPICS_PER_FRAME) });
    }
  }

  // Sends a frame under a new id, which it returns.
  #request({ type, ...fields }) {
    const id = this.#calls.nextId();
    this.#send({ type, id, ...fields });
    return id;
  }

  #send(frame) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #enter(state) {
    this.#state = state;
    this.#emit("state", state);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
