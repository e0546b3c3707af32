// One session with the gateway: opens the socket, keeps it alive, and finds its way back after whatever happens.
//
// Events: "state" {state, …}, "welcome" {frame, complete}, "push" {frame}, "pong" {ms}, "lag" {merged}.
// A welcome is `complete` where the session went on and nothing was missed.
// States: connecting, live, waiting {retryAt, attempt}, moving {retryAt}, ended {code, reason}.

import { delay } from "./backoff.js";
import { Calls } from "./calls.js";
import { Continuity } from "./continuity.js";
import { WHY_ENDED, renewIn, timeLeft, tryAgainIn } from "./renewal.js";

const SUBPROTOCOL = "plaudit.v1.json";
const CLIENT = "plaudit-web/0.1";
const SHOWN_PING_MS = 4_000;
const NO_PONG_MS = 10_000;
const TOPICS_PER_FRAME = 128;
const COMES_BACK = 4000;
const REPLACED = 4504;
const BAD_TOKEN = 4500;
const REVOKED = "TOKEN_REVOKED";
const isTerminal = (code) => code >= 4500 && code < 5000;

export class Connection extends EventTarget {
  #url;
  #tokens;
  #device;
  #socket = null;
  #timers = new Map();
  #attempt = 0;
  #topics = new Set();
  #state = { state: "idle" };
  #heartbeat = 30_000;
  #pinged = null;
  #badTokens = 0;
  #token = "";
  #tokenEnds = 0;
  #renewal = null;
  #continuity = new Continuity();
  #calls = new Calls((frame) => this.#send(frame));

  /** `tokens(fresh)` resolves with a token, a new one where `fresh`; `device` as in `Hello`. */
  constructor({ url, tokens, device }) {
    super();
    this.#url = url;
    this.#tokens = tokens;
    this.#device = device;
    this.wake = this.wake.bind(this);
  }

  get state() {
    return this.#state.state;
  }

  /** Connects, and stays connected until `close`. */
  open() {
    globalThis.addEventListener("online", this.wake);
    document.addEventListener("visibilitychange", this.wake);
    return this.#connect();
  }

  close() {
    globalThis.removeEventListener("online", this.wake);
    document.removeEventListener("visibilitychange", this.wake);
    this.#end(1000, "closed by the client");
  }

  /** Tries at once instead of waiting: the network is back, or somebody is looking. */
  wake() {
    if (this.#state.state === "waiting" && !document.hidden) this.#connect();
    else if (this.#state.state === "live") this.#ping();
  }

  /** Calls an rpc by its frame type; see `Calls.make`. */
  call(type, fields, options) {
    return this.#calls.make(type, fields, options);
  }

  /** Asks for pushes of topics, now and after every reconnect. */
  subscribe(topics) {
    const added = topics.filter((topic) => !this.#topics.has(topic));
    for (const topic of added) this.#topics.add(topic);
    if (this.#state.state === "live") this.#subscribe(added);
  }

  // `refused`: why the server did not take the token before.
  async #connect(refused = "") {
    this.#clear();
    this.#enter({ state: "connecting" });
    let token;
    try {
      token = await this.#tokens(Boolean(refused) || this.#attempt % 4 === 3);
    } catch (error) {
      if (error.final) this.#end(BAD_TOKEN, error.message);
      else this.#later(0);
      return;
    }
    if (this.#state.state !== "connecting") return;
    if (refused && token === this.#token) {
      this.#end(BAD_TOKEN, refused);
      return;
    }
    this.#token = token;
    const socket = new WebSocket(this.#url, [SUBPROTOCOL, `bearer.${token}`]);
    this.#socket = socket;
    socket.onopen = () => this.#greet();
    socket.onmessage = ({ data }) => socket === this.#socket && this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => socket === this.#socket && this.#lost(code, reason);
    this.#after("silence", NO_PONG_MS, () => this.#lost(4002, "no answer"));
  }

  #greet() {
    const resume = this.#continuity.ask(this.#topics);
    const type = resume ? "resume" : "hello";
    this.#send({ type, id: this.#calls.nextId(), device: this.#device, client: CLIENT, ...resume });
  }

  #receive(frame) {
    switch (frame.type) {
      case "welcome":
      case "resumed":
        return this.#welcome(frame);
      case "pong":
        return this.#pong(frame);
      case "token_renewed":
        return this.#keepToken(frame);
      case "goaway":
        return this.#moving(frame.reconnect_after_ms);
      case "lag":
        return this.#emit("lag", { merged: frame.merged });
      case "ack":
        return this.#calls.answer(frame);
      case "error":
        if (this.#calls.answer(frame)) return undefined;
        if (frame.id === this.#renewal) return this.#renewLater();
        console.warn("plaudit:", frame.code, frame.reason, frame.message);
        return this.#state.state === "connecting" ? this.#unwelcome(frame) : undefined;
      case "subscribed":
      case "unsubscribed":
        return undefined;
      default:
        return frame.topic && this.#pushed(frame);
    }
  }

  #pushed(frame) {
    const complete = this.#continuity.pushed(frame);
    this.#emit("push", { frame });
    if (!complete) this.#again();
  }

  // Something on its way to us was lost: going on with the session says what.
  #again() {
    this.#drop();
    this.#later(0);
  }

  #unwelcome(frame) {
    this.#continuity.forget();
    this.#drop();
    this.#later(frame.retry_after_ms ?? 0);
  }

  #welcome(frame) {
    this.#attempt = 0;
    this.#badTokens = 0;
    this.#heartbeat = (frame.heartbeat_seconds || 30) * 1000;
    this.#cancel("silence");
    this.#keepToken(frame);
    const known = new Set(this.#continuity.opened(frame));
    this.#enter({ state: "live" });
    this.#emit("welcome", { frame, complete: frame.verdict === "complete" });
    this.#subscribe([...this.#topics].filter((topic) => !known.has(topic)));
    this.#calls.opened(frame.limits?.calls_in_flight);
    this.#ping();
  }

  #keepToken(frame) {
    const left = timeLeft(frame);
    this.#renewal = null;
    if (left === null) return;
    this.#tokenEnds = performance.now() + left;
    this.#after("renew", renewIn(left), () => this.#renew());
  }

  async #renew() {
    const socket = this.#socket;
    const token = await this.#tokens(true).catch(() => this.#token);
    if (socket !== this.#socket || socket === null) return;
    if (token === this.#token) {
      this.#renewLater();
      return;
    }
    this.#token = token;
    this.#renewal = this.#calls.nextId();
    this.#send({ type: "renew_token", id: this.#renewal, token });
  }

  // The old token is still in force; where there is no other before it ends, the socket is lost, and the next has one.
  #renewLater() {
    const wait = tryAgainIn(this.#tokenEnds - performance.now());
    if (wait !== null) this.#after("renew", wait, () => this.#renew());
  }

  #subscribe(topics) {
    for (let from = 0; from < topics.length; from += TOPICS_PER_FRAME) {
      const some = topics.slice(from, from + TOPICS_PER_FRAME);
      this.#send({ type: "subscribe", id: this.#calls.nextId(), topics: some });
    }
  }

  #ping() {
    if (this.#pinged !== null) return;
    this.#pinged = performance.now();
    this.#send({ type: "ping", id: this.#calls.nextId(), seq: String(this.#continuity.seq) });
    this.#after("silence", NO_PONG_MS, () => this.#lost(4002, "no pong"));
  }

  #pong(frame) {
    const ms = performance.now() - this.#pinged;
    this.#pinged = null;
    this.#cancel("silence");
    this.#emit("pong", { ms });
    if (!this.#continuity.ponged(frame)) return this.#again();
    // Often where somebody looks at the figure; as rarely as the server allows where nobody does.
    this.#after("ping", document.hidden ? this.#heartbeat : Math.min(SHOWN_PING_MS, this.#heartbeat), () => this.#ping());
    return undefined;
  }

  #moving(afterMs) {
    // Calls in flight may still be answered before the deadline, so the old socket is kept until it is time to leave.
    this.#enter({ state: "moving", retryAt: performance.now() + afterMs });
    this.#after("retry", afterMs, () => {
      this.#drop();
      this.#connect();
    });
  }

  #lost(code, reason) {
    const wasMoving = this.#state.state === "moving";
    this.#drop();
    const why = code === BAD_TOKEN ? (WHY_ENDED[reason] ?? reason) : reason;
    if (code === BAD_TOKEN && reason !== REVOKED && this.#badTokens++ === 0) this.#connect(why || "token refused");
    else if (isTerminal(code)) this.#end(code, why);
    else if (!wasMoving) this.#later(0);
  }

  #later(atLeast) {
    const attempt = this.#attempt++;
    const wait = delay(attempt, { atLeast });
    this.#enter({ state: "waiting", retryAt: performance.now() + wait, attempt });
    this.#after("retry", wait, () => this.#connect());
  }

  // A goodbye would end the session; any other code keeps it for when we come back.
  #drop(code = COMES_BACK) {
    const socket = this.#socket;
    this.#socket = null;
    this.#pinged = null;
    for (const name of ["ping", "silence", "renew"]) this.#cancel(name);
    this.#calls.closed();
    socket?.close(code);
  }

  #end(code, reason) {
    this.#drop(1000);
    this.#clear();
    this.#enter({ state: "ended", code, reason, replaced: code === REPLACED });
    this.#calls.fail({ code: "CANCELLED", reason: "CONNECTION_ENDED", message: reason });
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

  #after(name, ms, run) {
    this.#cancel(name);
    this.#timers.set(name, setTimeout(run, ms));
  }

  #cancel(name) {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #clear() {
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
  }
}
