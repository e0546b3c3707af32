// The TypeScript client, built from clients/ts by `make clients`; change that, not this file.
// sources: 37a8f611f5b41aebe2aba94c06d33bd37806d6fd1847c89c1c8499f102952690
// text: 4e0016a6a1c84f775a6e6f74eb8763045aa56935441db128c5590327639c310d

// src/account.ts
/**
* Logs out all other devices of the user: their sockets are closed with the code 4505, and they do not reconnect by themselves.
* Tokens that these devices have open no session any more. Returns how many sessions have ended. The client needs the option `device`.
*/
async function logOutOtherDevices(client) {
	return Number((await client.call("end_sessions", { all_except_device_id: client.device })).ended ?? 0);
}
async function getPreferences(client) {
	return preferences(await client.call("get_preferences", {}));
}
/** Changes those that are given; returns all as they are then. */
async function updatePreferences(client, changes) {
	const { whoMayWrite, whoMayAdd, readReceipts, phoneLookup } = changes;
	return preferences(await client.call("update_preferences", {
		...whoMayWrite && { who_may_write: whoMayWrite },
		...whoMayAdd && { who_may_add: whoMayAdd },
		...readReceipts !== void 0 && { read_receipts: readReceipts },
		...phoneLookup !== void 0 && { phone_lookup: phoneLookup }
	}));
}
function preferences(answer) {
	const fields = answer.preferences ?? {};
	return {
		whoMayWrite: fields.who_may_write,
		whoMayAdd: fields.who_may_add,
		readReceipts: Boolean(fields.read_receipts),
		phoneLookup: Boolean(fields.phone_lookup)
	};
}
// src/connection/backoff.ts
var MIN_MS = 250;
var MAX_MS = 1e4;
/**
* Milliseconds to wait before attempt `attempt` (from 0), at least `minimum`, which is what the server asks for.
*
* Exponential, with jitter over the upper half, so that the clients of a lost server do not return at the same time.
*/
function backoffDelay(attempt, { minimum = 0, random = Math.random } = {}) {
	const longest = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(attempt, 10));
	return Math.max(minimum, longest / 2 + random() * longest / 2);
}
// src/connection/close.ts
var NORMAL_CLOSE = 1e3;
var RECONNECTING = 4e3;
var TIMED_OUT = 4002;
var BAD_TOKEN = 4500;
var REPLACED = 4504;
/** Whether the server forbids to reconnect. */
var isTerminal = (code) => code >= 4500 && code < 5e3;
/** Closes a socket; one that is still connecting when it opens, as browsers warn of a close before that. */
function closeSocket(socket, code) {
	if (socket.readyState === socket.CONNECTING) socket.onopen = () => socket.close(code);
	else socket.close(code);
}
// src/connection/heartbeat.ts
var VISIBLE_INTERVAL_MS = 4e3;
var PONG_TIMEOUT_MS = 1e4;
var Heartbeat = class {
	#timers;
	#sendPing;
	#onTimeout;
	#interval = 3e4;
	#pingedAt = null;
	/** `sendPing()` sends the frame; `onTimeout()` is called where no pong comes within 10 s. */
	constructor({ timers, sendPing, onTimeout }) {
		this.#timers = timers;
		this.#sendPing = sendPing;
		this.#onTimeout = onTimeout;
	}
	/** Sends the first ping of a socket; `seconds` is the longest interval that the server allows. */
	start(seconds) {
		this.#interval = (seconds || 30) * 1e3;
		this.ping();
	}
	/** Sends a ping, unless one is unanswered. */
	ping() {
		if (this.#pingedAt !== null) return;
		this.#pingedAt = performance.now();
		this.#sendPing();
		this.#timers.after("pong timeout", PONG_TIMEOUT_MS, this.#onTimeout);
	}
	/** The server answered; returns the round trip in milliseconds and schedules the next ping. */
	onPong() {
		const ms = performance.now() - (this.#pingedAt ?? performance.now());
		this.#pingedAt = null;
		this.#timers.cancel("pong timeout");
		const interval = globalThis.document?.hidden === false ? Math.min(VISIBLE_INTERVAL_MS, this.#interval) : this.#interval;
		this.#timers.after("ping", interval, () => this.ping());
		return ms;
	}
	stop() {
		this.#pingedAt = null;
		this.#timers.cancel("ping");
		this.#timers.cancel("pong timeout");
	}
};
// src/errors.ts
/** A call failed. `code` is the name of the gRPC code, `reason` the error's reason in the domain; `field` is at fault. */
var PlauditError = class PlauditError extends Error {
	code;
	reason;
	field;
	/** How long to wait before another attempt, in milliseconds; 0: the server has not said. */
	retryAfterMs;
	constructor({ code = "UNKNOWN", reason = "", message = "", field = "", retryAfterMs = 0 }) {
		super(message || reason || code);
		this.name = "PlauditError";
		this.code = code;
		this.reason = reason;
		this.field = field;
		this.retryAfterMs = retryAfterMs;
	}
	/** The error of an `error` frame. */
	static ofFrame(frame) {
		const text = (name) => String(frame[name] ?? "");
		return new PlauditError({
			code: text("code"),
			reason: text("reason"),
			message: text("message"),
			field: text("field"),
			retryAfterMs: Number(frame.retry_after_ms ?? 0)
		});
	}
};
// src/connection/pending_calls.ts
var TIMEOUT_MS = 3e4;
var RETRYABLE = /* @__PURE__ */ new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);
var NO_ANSWER = {
	code: "DEADLINE_EXCEEDED",
	reason: "NO_ANSWER",
	message: "The server did not answer in time."
};
var LOST = {
	code: "UNAVAILABLE",
	reason: "OUTCOME_UNKNOWN",
	message: "The socket was lost before the answer."
};
var PendingCalls = class {
	#calls = /* @__PURE__ */ new Map();
	#send;
	#nextId = 1;
	#isOpen = false;
	#maxInFlight = 32;
	/** `send(frame)` sends a frame; it is called only between `onOpened` and `onClosed`. */
	constructor(send) {
		this.#send = send;
	}
	get size() {
		return this.#calls.size;
	}
	/** An id for a frame that is not a call: all frames of a client share one sequence of ids. */
	nextId() {
		return this.#nextId++;
	}
	/** Sends a call; resolves with the fields of its `ack`, rejects with `PlauditError`. */
	call(type, fields = {}, { timeout = TIMEOUT_MS, repeat = true } = {}) {
		return new Promise((resolve, reject) => {
			const id = this.nextId();
			const timer = setTimeout(() => this.#remove(id, () => reject(new PlauditError(NO_ANSWER))), timeout);
			const frame = {
				...fields,
				type,
				id
			};
			this.#calls.set(id, {
				frame,
				resolve,
				reject,
				repeat,
				timer,
				isSent: false,
				notBefore: 0,
				attempts: 0
			});
			this.#sendWaiting();
		});
	}
	/** A session is open: sends what waits, at most `maxInFlight` calls at a time. */
	onOpened(maxInFlight) {
		this.#isOpen = true;
		this.#maxInFlight = Math.max(1, maxInFlight || this.#maxInFlight);
		this.#sendWaiting();
	}
	/** The socket is closed: all calls without an answer wait again, unless they must not be repeated. */
	onClosed() {
		this.#isOpen = false;
		for (const [id, call] of [...this.#calls]) {
			if (call.isSent && !call.repeat) this.#remove(id, () => call.reject(new PlauditError(LOST)));
			call.isSent = false;
		}
	}
	/** Handles an `ack` or `error` frame; false where it answers none of these calls. */
	onAnswer(frame) {
		const call = this.#calls.get(Number(frame.id));
		if (!call) return false;
		if (frame.type === "ack") this.#remove(call.frame.id, () => call.resolve(frame));
		else if (call.repeat && RETRYABLE.has(frame.code)) this.#retryLater(call, Number(frame.retry_after_ms ?? 0));
		else this.#remove(call.frame.id, () => call.reject(PlauditError.ofFrame(frame)));
		return true;
	}
	/** Rejects all calls: the client has ended. */
	rejectAll(error) {
		for (const [id, call] of [...this.#calls]) this.#remove(id, () => call.reject(error));
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
};
// src/connection/resume_state.ts
var MAX_RESUME_BYTES = 3e3;
var MAX_TOPICS = 128;
var POSITION_BYTES = 48;
var USER_TOPIC = "users/";
var ResumeState = class {
	#session = "";
	#token = "";
	#seq = 0n;
	#versions = /* @__PURE__ */ new Map();
	#requested = [];
	/** The last numbered push before which none is missing. */
	get seq() {
		return this.#seq;
	}
	get session() {
		return this.#session;
	}
	/** The fields of `resume` for these topics, the user's own topic first; null where there is no session to resume. */
	request(topics) {
		if (!this.#token) return null;
		let bytesLeft = MAX_RESUME_BYTES;
		const isOwn = (topic) => Number(topic.startsWith(USER_TOPIC));
		const sorted = [...topics].sort((one, other) => isOwn(other) - isOwn(one)).slice(0, MAX_TOPICS);
		this.#requested = sorted.filter((topic) => (bytesLeft -= topic.length + POSITION_BYTES) >= 0);
		const positions = this.#requested.map((topic) => ({
			topic,
			version: String(this.#versions.get(topic) ?? 0n)
		}));
		return {
			session: this.#session,
			resume_token: this.#token,
			seq: String(this.#seq),
			topics: positions
		};
	}
	/** Handles `welcome` and `resumed`. Returns the topics that the session is already subscribed to. */
	onOpened({ session, resume_token: token, verdict, seq }) {
		this.#session = String(session ?? "");
		this.#token = String(token ?? "");
		this.#seq = BigInt(seq ?? 0);
		const requested = this.#requested;
		this.#requested = [];
		return verdict && verdict !== "reset" ? requested : [];
	}
	/** The server refuses to resume: the next session is a new one. */
	reset() {
		this.#token = "";
		this.#requested = [];
	}
	/** Handles a push. Returns false where one before it is missing. */
	onPush({ type, topic = "", target, version, seq }) {
		const number = BigInt(seq ?? 0);
		if (type === "reaction_update" && (target ?? topic) === topic) this.#versions.set(topic, max(this.#versions.get(topic) ?? 0n, BigInt(version)));
		if (number > this.#seq + 1n) return false;
		this.#seq = max(this.#seq, number);
		return true;
	}
	/** Handles a pong. Returns false where a push that was sent before it is missing. */
	onPong({ seq, resume_token: token }) {
		this.#token = String(token || this.#token);
		return BigInt(seq ?? 0) <= this.#seq;
	}
};
/** Whether messages of a backlog follow a `welcome` or `resumed`, where one was asked for. */
function hasBacklog({ type, verdict, reload, user }) {
	if (type === "welcome" || verdict === "reset") return true;
	return verdict === "partial" && (reload ?? []).includes(`${USER_TOPIC}${String(user)}`);
}
var max = (one, other) => one > other ? one : other;
// src/connection/codec.ts
/** One JSON object a message. */
var jsonCodec = {
	subprotocol: "plaudit.v1.json",
	encode: (frame) => JSON.stringify(frame),
	decode: (data) => JSON.parse(data)
};
// src/connection/urls.ts
var PATH = "/ws/connect";
/** The URLs of sockets for `ws:`, `wss:`, `http:` and `https:` URLs; one without a path gets that of the gateway. */
function socketUrls(urls) {
	const all = (typeof urls === "string" ? [urls] : urls).map(socketUrl);
	if (all.length === 0) throw new TypeError("there is no URL");
	return all;
}
function socketUrl(text) {
	const url = new URL(text);
	if (url.protocol === "http:" || url.protocol === "https:") url.protocol = url.protocol.replace("http", "ws");
	if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new TypeError(`not a ws:// or wss:// URL: ${text}`);
	if (url.pathname === "/") url.pathname = PATH;
	return url.href;
}
// src/connection/socket.ts
var OPEN = 1;
var Socket = class {
	#urls;
	#codec;
	#class;
	#host;
	#socket = null;
	constructor(url, { codec = jsonCodec, webSocket = globalThis.WebSocket }, host) {
		this.#urls = socketUrls(url);
		this.#codec = codec;
		this.#class = webSocket;
		this.#host = host;
		if (!webSocket) throw new TypeError("there is no global WebSocket: start Node 20 with --experimental-websocket, or give the option webSocket");
	}
	open(token) {
		const socket = new this.#class(this.#urls[0], [this.#codec.subprotocol, `bearer.${token}`]);
		socket.binaryType = "arraybuffer";
		this.#socket = socket;
		socket.onopen = () => this.#host.onOpen();
		socket.onmessage = ({ data }) => socket === this.#socket && this.#onMessage(data);
		socket.onclose = ({ code, reason }) => socket === this.#socket && this.#host.onLost(code, reason);
	}
	/** Sends a frame; without an open socket it is lost. */
	send(frame) {
		if (this.#socket?.readyState === OPEN) this.#socket.send(this.#codec.encode(frame));
	}
	/** Closes the socket, if there is one; the host hears nothing more of it. */
	close(code) {
		const socket = this.#socket;
		this.#socket = null;
		if (socket) closeSocket(socket, code);
	}
	/** The next socket is opened to the next URL. */
	useNextUrl() {
		this.#urls.push(this.#urls.shift());
	}
	#onMessage(data) {
		let frame;
		try {
			frame = this.#codec.decode(data);
		} catch (error) {
			this.#host.onInvalid(error);
			return;
		}
		this.#host.onFrame(frame);
	}
};
// src/connection/topics.ts
var TOPICS_PER_FRAME = 128;
var Topics = class {
	#subscribers = /* @__PURE__ */ new Map();
	#requests = /* @__PURE__ */ new Map();
	/** The topics that have a subscriber. */
	get all() {
		return [...this.#subscribers.keys()];
	}
	/** Adds a subscriber to each topic; returns the topics that had none. */
	add(topics) {
		const added = [];
		for (const topic of topics) {
			const subscribers = this.#subscribers.get(topic) ?? 0;
			this.#subscribers.set(topic, subscribers + 1);
			if (subscribers === 0) added.push(topic);
		}
		return added;
	}
	/** Removes a subscriber of each topic; returns the topics that have none now. */
	remove(topics) {
		const removed = [];
		for (const topic of topics) {
			const subscribers = this.#subscribers.get(topic);
			if (subscribers === 1) {
				this.#subscribers.delete(topic);
				removed.push(topic);
			} else if (subscribers !== void 0) this.#subscribers.set(topic, subscribers - 1);
		}
		return removed;
	}
	/** The topics in groups that fit into a frame. */
	*groups(topics) {
		for (let from = 0; from < topics.length; from += TOPICS_PER_FRAME) yield topics.slice(from, from + TOPICS_PER_FRAME);
	}
	/** The frame `id` subscribes to these topics. */
	requested(id, topics) {
		this.#requests.set(id, topics);
	}
	/** The frame `id` was answered: returns its topics that still have a subscriber; null where it subscribed to none. */
	answered(id) {
		const topics = this.#requests.get(id);
		this.#requests.delete(id);
		return topics?.filter((topic) => this.#subscribers.has(topic)) ?? null;
	}
	/** The server refuses these topics for ever: they have no subscriber any more. */
	drop(topics) {
		for (const topic of topics) this.#subscribers.delete(topic);
	}
	/** The socket is closed: no frame is answered any more. */
	onClosed() {
		this.#requests.clear();
	}
};
// src/connection/subscriptions.ts
var Subscriptions = class {
	#host;
	#topics = new Topics();
	#isOpen = false;
	#attempt = 0;
	#retries = [];
	constructor(host) {
		this.#host = host;
	}
	get topics() {
		return this.#topics.all;
	}
	add(topics) {
		const added = this.#topics.add(topics);
		if (this.#isOpen) this.#subscribe(added);
	}
	remove(topics) {
		const removed = this.#topics.remove(topics);
		if (this.#isOpen) this.#unsubscribe(removed);
	}
	/** A session is open that is subscribed to `resumed`. Returns those of them that still have a subscriber. */
	onOpened(resumed) {
		this.#isOpen = true;
		this.#attempt = 0;
		const all = new Set(this.#topics.all);
		const known = new Set(resumed);
		this.#subscribe([...all].filter((topic) => !known.has(topic)));
		this.#unsubscribe(resumed.filter((topic) => !all.has(topic)));
		return resumed.filter((topic) => all.has(topic));
	}
	onClosed() {
		this.#isOpen = false;
		this.#retries = [];
		this.#host.timers.cancel("subscribe");
		this.#topics.onClosed();
	}
	onAnswer(frame) {
		const topics = this.#topics.answered(Number(frame.id));
		this.#attempt = 0;
		if (topics?.length) this.#host.onSubscribed(topics);
	}
	/** Handles an error frame; false where it answers no `subscribe`. */
	onError(frame) {
		const topics = this.#topics.answered(Number(frame.id));
		if (topics === null) return false;
		const error = PlauditError.ofFrame(frame);
		if (isTemporary$1(error)) this.#subscribeLater(topics, error.retryAfterMs);
		else if (topics.length > 1) for (const topic of topics) this.#subscribe([topic]);
		else if (topics.length === 1) {
			this.#topics.drop(topics);
			this.#host.onRefused(topics, error);
		}
		return true;
	}
	/** The server has ended subscriptions: those that may have missed pushes begin again, the others are refused. */
	onEnded(frame) {
		const subscribed = new Set(this.#topics.all);
		const topics = frame.topics.filter((topic) => subscribed.has(topic));
		if (topics.length === 0) return;
		const error = PlauditError.ofFrame(frame);
		if (isTemporary$1(error)) this.#subscribeLater(topics, error.retryAfterMs);
		else {
			this.#topics.drop(topics);
			this.#host.onRefused(topics, error);
		}
	}
	#subscribeLater(topics, minimum) {
		this.#retries.push(...topics);
		this.#host.timers.after("subscribe", backoffDelay(this.#attempt++, { minimum }), () => this.#retry());
	}
	#retry() {
		const all = new Set(this.#topics.all);
		const topics = this.#retries.filter((topic) => all.has(topic));
		this.#retries = [];
		this.#subscribe(topics);
	}
	#subscribe(topics) {
		for (const group of this.#topics.groups(topics)) this.#topics.requested(this.#host.request({
			type: "subscribe",
			topics: group
		}), group);
	}
	#unsubscribe(topics) {
		for (const group of this.#topics.groups(topics)) this.#host.request({
			type: "unsubscribe",
			topics: group
		});
	}
};
var isTemporary$1 = ({ code, reason }) => code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" || code === "RESOURCE_EXHAUSTED" && reason !== "TOO_MANY_TOPICS";
// src/connection/timers.ts
var Timers = class {
	#ids = /* @__PURE__ */ new Map();
	/** Calls `run` after `ms`, unless the name is used again or cancelled before. */
	after(name, ms, run) {
		this.cancel(name);
		this.#ids.set(name, setTimeout(() => {
			this.#ids.delete(name);
			run();
		}, ms));
	}
	/** Whether a timer of the name is running. */
	has(name) {
		return this.#ids.has(name);
	}
	cancel(name) {
		clearTimeout(this.#ids.get(name));
		this.#ids.delete(name);
	}
	cancelAll() {
		for (const name of [...this.#ids.keys()]) this.cancel(name);
	}
};
// src/connection/token_renewal.ts
var LEAD_MS = 6e4;
var LEAD_SHARE = .25;
var MIN_RETRY_MS = 200;
var MAX_TIMER_MS = 2 ** 31 - 1;
/** What users read where no other token is available, by the reason of a close with 4500. */
var TOKEN_ERRORS = {
	TOKEN_EXPIRED: "The token has expired.",
	TOKEN_REVOKED: "The token was withdrawn.",
	INVALID_TOKEN: "The token is not valid."
};
var TokenRenewal = class {
	#timers;
	#source;
	#sendToken;
	#token = "";
	#expiresAt = 0;
	#requestId = null;
	#socket = 0;
	/** `sendToken(token)` sends `renew_token` and returns the frame's id. */
	constructor({ timers, source, sendToken }) {
		this.#timers = timers;
		this.#source = source;
		this.#sendToken = sendToken;
	}
	/** The token in use; empty before the first. */
	get token() {
		return this.#token;
	}
	/** Gets a token for a new socket. Rejects as the source does. */
	async load(fresh) {
		this.#token = await this.#next(fresh);
		return this.#token;
	}
	/** The server accepted the token, with a `welcome`, `resumed` or `token_renewed`: schedules its renewal. */
	onAccepted(frame) {
		const left = remainingMs(frame);
		this.#requestId = null;
		if (left === null) return;
		this.#expiresAt = performance.now() + left;
		this.#timers.after("renew", renewalDelay(left), () => void this.#renew());
	}
	/** Handles an error frame; false where it does not answer `renew_token`. */
	onError(frame) {
		if (frame.id !== this.#requestId) return false;
		this.#retry();
		return true;
	}
	/** The socket is closed: a token that is on its way is not sent. */
	stop() {
		this.#socket += 1;
		this.#requestId = null;
		this.#timers.cancel("renew");
	}
	async #next(fresh) {
		return typeof this.#source === "string" ? this.#source : this.#source(fresh);
	}
	async #renew() {
		const socket = this.#socket;
		const token = await this.#next(true).catch(() => this.#token);
		if (socket !== this.#socket) return;
		if (token === this.#token) {
			this.#retry();
			return;
		}
		this.#token = token;
		this.#requestId = this.#sendToken(token);
	}
	#retry() {
		const ms = retryDelay(this.#expiresAt - performance.now());
		if (ms !== null) this.#timers.after("renew", ms, () => void this.#renew());
	}
};
function remainingMs({ token_expire_time_ms: expires, server_time_ms: now }) {
	return Number(expires) ? Math.max(Number(expires) - Number(now ?? 0), 1) : null;
}
function renewalDelay(left) {
	const lead = Math.min(LEAD_MS, left * LEAD_SHARE) * (1 - Math.random() / 2);
	return Math.min(left - lead, MAX_TIMER_MS);
}
var retryDelay = (left) => left / 2 >= MIN_RETRY_MS ? left / 2 : null;
// src/events.ts
var Events = class extends EventTarget {
	/** Calls `listener` with the detail of each event; returns a function that ends it. */
	on(type, listener) {
		const handle = (event) => listener(event.detail);
		this.addEventListener(type, handle);
		return () => this.removeEventListener(type, handle);
	}
	emit(type, detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
	}
};
// src/client.ts
var CLIENT = "plaudit-ts/0.1";
var WELCOME_TIMEOUT_MS = 1e4;
var ACK_DELAY_MS = 200;
/** Connects, and connects again after every loss, until `close`. `url`: one or several, tried in turn. */
function connect(url, tokens, options = {}) {
	return new Client(url, tokens, options);
}
var Client = class extends Events {
	device;
	#hello;
	#socket;
	#state = { state: "connecting" };
	#user = "";
	#attempt = 0;
	#refusedTokens = 0;
	#isBacklog = false;
	#timers = new Timers();
	#resume = new ResumeState();
	#calls = new PendingCalls((frame) => this.#socket.send(frame));
	#subscriptions = new Subscriptions({
		timers: this.#timers,
		request: (frame) => this.#request(frame),
		onSubscribed: (topics) => this.emit("subscribed", { topics }),
		onRefused: (topics, error) => this.emit("refused", {
			topics,
			error
		})
	});
	#heartbeat = new Heartbeat({
		timers: this.#timers,
		sendPing: () => this.#request({
			type: "ping",
			seq: String(this.#resume.seq)
		}),
		onTimeout: () => this.#onLost(TIMED_OUT, "no pong")
	});
	#token;
	#resolveReady;
	#rejectReady;
	/** Resolves with the first session; rejects where the client ends before. */
	ready = new Promise((resolve, reject) => {
		this.#resolveReady = resolve;
		this.#rejectReady = reject;
	});
	constructor(url, tokens, { device = "", backlog = false, client = CLIENT, webSocket, codec }) {
		super();
		if (backlog && !device) throw new TypeError("a backlog is that of a device: give the option device");
		this.device = device;
		this.#hello = {
			device,
			client,
			...backlog ? { backlog } : {}
		};
		this.#socket = new Socket(url, {
			codec,
			webSocket
		}, {
			onOpen: () => this.#sendHello(),
			onFrame: (frame) => this.#onFrame(frame),
			onInvalid: (error) => {
				console.warn("plaudit: a message is no frame:", error);
				this.#resumeAgain();
			},
			onLost: (code, reason) => this.#onLost(code, reason)
		});
		const sendToken = (token) => this.#request({
			type: "renew_token",
			token
		});
		this.#token = new TokenRenewal({
			timers: this.#timers,
			source: tokens,
			sendToken
		});
		this.ready.catch(() => {});
		globalThis.addEventListener?.("online", this.wake);
		globalThis.document?.addEventListener("visibilitychange", this.wake);
		queueMicrotask(() => this.#isEnded || void this.#connect());
	}
	get state() {
		return this.#state.state;
	}
	/** The id of the user, from the token; empty before the first session. */
	get user() {
		return this.#user;
	}
	/** The id of the session; empty before the first one. */
	get session() {
		return this.#resume.session;
	}
	/** Ends the session. Calls without an answer fail with CANCELLED. */
	close() {
		if (!this.#isEnded) this.#end(NORMAL_CLOSE, "closed by the client");
	}
	/** Reconnects at once instead of waiting, or checks the socket: the network is back, or the page is visible again. */
	wake = () => {
		if (this.#state.state === "waiting" && !globalThis.document?.hidden) this.#connect();
		else if (this.#state.state === "live") this.#heartbeat.ping();
	};
	/** Calls an rpc by its frame type, now or once there is a session; rejects with `PlauditError`. */
	call(type, fields = {}, options) {
		if (this.#state.state === "ended") return Promise.reject(ended(this.#state.reason));
		return this.#calls.call(type, fields, options);
	}
	/** Subscribes to topics, in this session and every later one, until they are unsubscribed as often. */
	subscribe(topics) {
		this.#subscriptions.add(topics);
	}
	unsubscribe(topics) {
		this.#subscriptions.remove(topics);
	}
	get #isEnded() {
		return this.#state.state === "ended";
	}
	async #connect(refusal = "") {
		this.#timers.cancelAll();
		const connecting = { state: "connecting" };
		this.#enter(connecting);
		const previous = this.#token.token;
		let token;
		try {
			token = await this.#token.load(Boolean(refusal) || this.#attempt % 4 === 3);
		} catch (error) {
			if (this.#state !== connecting) return;
			if (error.final) this.#end(BAD_TOKEN, error.message);
			else this.#reconnectLater();
			return;
		}
		if (this.#state !== connecting) return;
		if (refusal && token === previous) this.#end(BAD_TOKEN, refusal);
		else this.#openSocket(token);
	}
	#openSocket(token) {
		this.#socket.open(token);
		this.#timers.after("welcome timeout", WELCOME_TIMEOUT_MS, () => this.#onLost(TIMED_OUT, "no answer"));
	}
	#onFrame(frame) {
		switch (frame.type) {
			case "welcome":
			case "resumed": return this.#onWelcome(frame);
			case "pong": return this.#onPong(frame);
			case "token_renewed": return this.#token.onAccepted(frame);
			case "goaway": return this.#onGoaway(Number(frame.reconnect_after_ms ?? 0));
			case "lag": return this.emit("lag", { merged: Number(frame.merged) });
			case "backlog_done":
				this.#isBacklog = false;
				return this.emit("backlog", { incomplete: frame.incomplete ?? [] });
			case "subscribed": return this.#subscriptions.onAnswer(frame);
			case "subscription_ended": return this.#subscriptions.onEnded(frame);
			case "ack":
				this.#attempt = 0;
				this.#calls.onAnswer(frame);
				return;
			case "error": return this.#onError(frame);
			default: if (frame.topic) this.#onPush(frame);
		}
	}
	#onWelcome(frame) {
		this.#refusedTokens = 0;
		this.#user = String(frame.user ?? "");
		this.#timers.cancel("welcome timeout");
		this.#token.onAccepted(frame);
		const resumed = this.#resume.onOpened(frame);
		this.#isBacklog = Boolean(this.#hello.backlog) && hasBacklog(frame);
		this.#enter({ state: "live" });
		const subscribed = this.#subscriptions.onOpened(resumed);
		this.emit("welcome", {
			frame,
			complete: frame.verdict === "complete"
		});
		this.emit("subscribed", { topics: subscribed });
		this.#calls.onOpened(frame.limits?.calls_in_flight);
		this.#heartbeat.start(Number(frame.heartbeat_seconds));
		this.#resolveReady();
	}
	#onPush(frame) {
		const isComplete = this.#resume.onPush(frame);
		this.emit("push", {
			frame,
			isBacklog: this.#isBacklog
		});
		if (!isComplete) this.#resumeAgain();
		else if (frame.seq && !this.#timers.has("ack")) this.#timers.after("ack", ACK_DELAY_MS, () => this.#acknowledge());
	}
	#acknowledge() {
		this.#socket.send({
			type: "ack",
			seq: String(this.#resume.seq)
		});
	}
	#onPong(frame) {
		this.#attempt = 0;
		this.emit("pong", { ms: this.#heartbeat.onPong() });
		if (!this.#resume.onPong(frame)) this.#resumeAgain();
	}
	#onError(frame) {
		if (this.#calls.onAnswer(frame) || this.#token.onError(frame) || this.#subscriptions.onError(frame)) return;
		console.warn("plaudit:", frame.code, frame.reason, frame.message);
		if (this.#state.state !== "connecting") return;
		this.#resume.reset();
		this.#drop();
		this.#reconnectLater(Number(frame.retry_after_ms ?? 0));
	}
	#onGoaway(afterMs) {
		this.#socket.useNextUrl();
		this.#enter({
			state: "moving",
			retryAt: performance.now() + afterMs
		});
		this.#timers.after("reconnect", afterMs, () => {
			this.#drop();
			this.#connect();
		});
	}
	#onLost(code, reason) {
		const before = this.#state;
		this.#drop();
		const text = code === 4500 ? TOKEN_ERRORS[reason] ?? reason : reason;
		if (code === 4500 && reason !== "TOKEN_REVOKED" && this.#refusedTokens++ === 0) this.#connect(text || "token refused");
		else if (isTerminal(code)) this.#end(code, text);
		else if (before.state === "moving") this.#enter({
			state: "waiting",
			retryAt: before.retryAt,
			attempt: this.#attempt
		});
		else this.#reconnectLater();
	}
	#resumeAgain() {
		this.#drop();
		this.#reconnectLater();
	}
	#reconnectLater(minimum = 0) {
		if (this.#state.state === "connecting") this.#socket.useNextUrl();
		const attempt = this.#attempt++;
		const ms = backoffDelay(attempt, { minimum });
		this.#enter({
			state: "waiting",
			retryAt: performance.now() + ms,
			attempt
		});
		this.#timers.after("reconnect", ms, () => void this.#connect());
	}
	#drop(code = RECONNECTING) {
		this.#timers.cancel("welcome timeout");
		this.#timers.cancel("ack");
		this.#heartbeat.stop();
		this.#token.stop();
		this.#subscriptions.onClosed();
		this.#calls.onClosed();
		this.#socket.close(code);
	}
	#end(code, reason) {
		globalThis.removeEventListener?.("online", this.wake);
		globalThis.document?.removeEventListener("visibilitychange", this.wake);
		this.#drop(NORMAL_CLOSE);
		this.#timers.cancelAll();
		this.#enter({
			state: "ended",
			code,
			reason,
			replaced: code === REPLACED
		});
		this.#calls.rejectAll(ended(reason));
		this.#rejectReady(ended(reason));
	}
	#sendHello() {
		const resume = this.#resume.request(this.#subscriptions.topics);
		this.#request({
			type: resume ? "resume" : "hello",
			...this.#hello,
			...resume
		});
	}
	#request(frame) {
		const id = this.#calls.nextId();
		this.#socket.send({
			...frame,
			id
		});
		return id;
	}
	#enter(state) {
		this.#state = state;
		this.emit("state", state);
	}
};
var ended = (reason) => new PlauditError({
	code: "CANCELLED",
	reason: "CONNECTION_ENDED",
	message: reason
});
// src/ids.ts
var HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
var COUNTER_LIMIT = 4096;
var lastTime = 0;
var counter = 0;
/**
* A UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 bits that count the ids of one millisecond (method 1 of section 6.2), then
* randomness. An id sorts after all ids that this function has made before, also where the clock has gone back.
*/
function uuid7(now = Date.now()) {
	const bytes = crypto.getRandomValues(/* @__PURE__ */ new Uint8Array(16));
	counter = now > lastTime ? (bytes[6] & 7) << 8 | bytes[7] : counter + 1;
	lastTime = Math.max(lastTime, now);
	if (counter === COUNTER_LIMIT) {
		lastTime += 1;
		counter = 0;
	}
	for (let index = 5, rest = lastTime; index >= 0; index -= 1, rest = Math.floor(rest / 256)) bytes[index] = rest % 256;
	bytes[6] = 112 | counter >> 8;
	bytes[7] = counter & 255;
	bytes[8] = 128 | bytes[8] & 63;
	const text = Array.from(bytes, (byte) => HEX[byte]).join("");
	return [
		text.slice(0, 8),
		text.slice(8, 12),
		text.slice(12, 16),
		text.slice(16, 20),
		text.slice(20)
	].join("-");
}
var DEVICE_KEY = "plaudit.device";
/**
* The device id of this tab: the same after a reload, different in every other tab.
*
* A duplicated tab starts with a copy of the sessionStorage. Two tabs with one device id would close each other's
* session again and again. So a tab locks its id as long as it is open, and makes a new id where the lock is taken.
*/
async function tabDeviceId() {
	const saved = sessionStorage.getItem(DEVICE_KEY) ?? uuid7();
	const device = await lockUntilClosed(`plaudit.device.${saved}`) ? saved : uuid7();
	sessionStorage.setItem(DEVICE_KEY, device);
	return device;
}
function lockUntilClosed(name) {
	if (!navigator.locks) return Promise.resolve(true);
	return new Promise((resolve) => {
		navigator.locks.request(name, { ifAvailable: true }, (lock) => {
			resolve(lock !== null);
			return lock && new Promise(() => {});
		});
	});
}
// src/messages/backlog.ts
var Backlog = class {
	#client;
	#list;
	#directory;
	#unlisted = /* @__PURE__ */ new Map();
	#incomplete;
	#isListLoaded = false;
	constructor(client, list, directory) {
		this.#client = client;
		this.#list = list;
		this.#directory = directory;
	}
	/** A session begins that may have missed pushes; the list is loaded again. */
	begin() {
		this.#unlisted.clear();
		this.#incomplete = void 0;
		this.#isListLoaded = false;
	}
	/** A message that cannot be added to the list: the conversation is not there yet, or changes before it were not pushed. */
	add(conversationId, change) {
		this.#unlisted.set(conversationId, change);
	}
	onListLoaded() {
		this.#isListLoaded = true;
		this.#finish();
	}
	onDone(incomplete) {
		this.#incomplete = incomplete;
		this.#finish();
	}
	#finish() {
		if (!this.#isListLoaded || !this.#incomplete) return;
		const last = this.#directory.hasMore ? this.#list.all.at(-1) : void 0;
		const oldest = last ? Date.parse(last.updateTime) : 0;
		for (const [conversationId, { messageSeq, timestamp }] of this.#unlisted) if (!((this.#list.get(conversationId)?.lastMessageSeq ?? 0) >= messageSeq) && timestamp >= oldest) this.#directory.readLater(conversationId);
		this.#unlisted.clear();
		for (const conversationId of this.#incomplete) this.#deliver(conversationId);
		this.#incomplete = void 0;
	}
	async #deliver(conversationId) {
		try {
			if (!this.#list.get(conversationId)) await this.#directory.read(conversationId);
			const messageId = this.#list.get(conversationId)?.lastMessage?.messageId;
			if (messageId) await this.#client.call("mark_delivered", {
				conversation_id: conversationId,
				message_id: messageId
			});
		} catch (error) {
			const { code, reason, message } = error;
			if (code !== "NOT_FOUND" && reason !== "CONNECTION_ENDED") console.warn("plaudit: a delivery could not be reported:", message);
		}
	}
};
// src/messages/changed_events.ts
var ChangedEvents = class {
	#waiting = /* @__PURE__ */ new Map();
	/** Calls `emit` at the end of this turn, once for a key. */
	soon(key, emit) {
		if (this.#waiting.size === 0) queueMicrotask(() => this.#run());
		this.#waiting.set(key, emit);
	}
	#run() {
		const all = [...this.#waiting.values()];
		this.#waiting.clear();
		for (const emit of all) emit();
	}
};
// src/messages/wire.ts
var SENT = "CHANGE_TYPE_MESSAGE_SENT";
var EDITED = "CHANGE_TYPE_MESSAGE_EDITED";
var DELETED = "CHANGE_TYPE_MESSAGE_DELETED";
var PINNED = "CHANGE_TYPE_MESSAGE_PINNED";
var UNPINNED = "CHANGE_TYPE_MESSAGE_UNPINNED";
/** Whether a change may make the pinned messages other ones. */
var changesPins = ({ type }) => [
	EDITED,
	DELETED,
	PINNED,
	UNPINNED
].includes(type);
var text = (value) => String(value ?? "");
var number = (value) => Number(value ?? 0);
var list = (value) => value ?? [];
var texts = (value) => value ?? [];
function message(fields) {
	return {
		messageId: text(fields.message_id),
		conversationId: text(fields.conversation_id),
		senderId: text(fields.sender_id),
		content: text(fields.content),
		contentType: text(fields.content_type),
		timestamp: number(fields.timestamp),
		messageSeq: number(fields.message_seq),
		ordinal: number(fields.ordinal),
		clientMsgId: text(fields.client_msg_id),
		replyTo: text(fields.reply_to),
		mentions: texts(fields.mentions),
		metadata: fields.metadata ?? {},
		editTime: text(fields.edit_time),
		deleteTime: text(fields.delete_time),
		deletedBy: text(fields.deleted_by || "DELETED_BY_UNSPECIFIED"),
		forwardCount: number(fields.forward_count)
	};
}
function change(fields) {
	return {
		messageSeq: number(fields.message_seq),
		type: text(fields.type),
		actorId: text(fields.actor_id),
		timestamp: number(fields.timestamp),
		message: fields.message ? message(fields.message) : void 0,
		userIds: texts(fields.user_ids),
		role: text(fields.role || "ROLE_UNSPECIFIED"),
		name: text(fields.name),
		avatarUrl: text(fields.avatar_url),
		retentionSeconds: number(fields.retention_seconds)
	};
}
/** The change that a message is. */
function sentChange(sent) {
	const { messageSeq, senderId: actorId, timestamp } = sent;
	return {
		messageSeq,
		type: SENT,
		actorId,
		timestamp,
		message: sent,
		userIds: [],
		role: "ROLE_UNSPECIFIED",
		name: "",
		avatarUrl: "",
		retentionSeconds: 0
	};
}
/** The change of a `new_message`, `message_changed` or `member_changed`; null for other pushes. */
function pushedChange(frame) {
	if (frame.type === "new_message") return sentChange(message(frame));
	return (frame.type === "message_changed" || frame.type === "member_changed") && frame.change ? change(frame.change) : null;
}
var membership = (fields) => ({
	role: text(fields.role || "ROLE_UNSPECIFIED"),
	readSeq: number(fields.read_seq),
	muteUntilMs: number(fields.mute_until_ms),
	pinned: Boolean(fields.pinned),
	archived: Boolean(fields.archived),
	markedUnread: Boolean(fields.marked_unread)
});
/** What a conversation is for the user after a `membership_changed`; null for other pushes. */
var pushedMembership = (frame) => frame.type === "membership_changed" ? membership(frame.membership ?? {}) : null;
function conversation(fields) {
	return {
		conversationId: text(fields.conversation_id),
		type: text(fields.type),
		name: text(fields.name),
		avatarUrl: text(fields.avatar_url),
		creatorId: text(fields.creator_id),
		createTime: text(fields.create_time),
		updateTime: text(fields.update_time),
		lastMessageSeq: number(fields.last_message_seq),
		memberCount: number(fields.member_count),
		membersEpoch: number(fields.members_epoch),
		peerId: text(fields.peer_id),
		unreadCount: number(fields.unread_count),
		retentionSeconds: number(fields.retention_seconds),
		visibleFromSeq: number(fields.visible_from_seq),
		draft: text(fields.draft),
		...fields.last_message ? { lastMessage: message(fields.last_message) } : {},
		...membership(fields.membership ?? {})
	};
}
var conversations = (answer) => list(answer.conversations).map(conversation);
var messages = (answer) => list(answer.messages).map(message);
var changes = (answer) => list(answer.changes).map(change);
var nextPage = (answer) => text(answer.next_page_token);
var olderPage = (answer) => text(answer.older_page_token);
var lastSeqOf = (answer) => number(answer.last_message_seq);
var visibleFromOf = (fields) => number(fields.visible_from_seq);
var conversationIdOf = (fields) => text(fields.conversation_id);
var members = (answer) => list(answer.members).map((fields) => ({
	userId: text(fields.user_id),
	role: text(fields.role),
	joinedSeq: number(fields.joined_seq)
}));
var pinnedMessages = (answer) => list(answer.pinned_messages).map((fields) => ({
	message: message(fields.message ?? {}),
	pinnedBy: text(fields.pinned_by),
	pinTime: text(fields.pin_time)
}));
/** The draft of a `draft_changed`; null for other pushes. */
var pushedDraft = (frame) => frame.type === "draft_changed" ? {
	content: text(frame.content),
	timestamp: number(frame.timestamp),
	deviceId: text(frame.device_id)
} : null;
var timestampOf = (answer) => number(answer.timestamp);
var receipt = (fields) => ({
	userId: text(fields.user_id),
	deliveredSeq: number(fields.delivered_seq),
	readSeq: number(fields.read_seq)
});
var receipts = (answer) => list(answer.receipts).map(receipt);
/** The positions of members that a `receipt` push brings; none where it is no such push. */
var pushedReceipts = (frame) => frame.type === "receipt" && frame.user_id ? [frame, ...list(frame.others)].map(receipt) : [];
/** The members after a `member_changed`; undefined for other pushes. */
function membersOf(frame) {
	if (frame.type !== "member_changed") return void 0;
	return {
		memberCount: number(frame.member_count),
		membersEpoch: number(frame.members_epoch)
	};
}
/** What the answer to `send_message`, `edit_message` or `delete_message` says. */
function accepted(answer) {
	return {
		messageId: text(answer.message_id),
		messageSeq: number(answer.message_seq),
		timestamp: number(answer.timestamp),
		ordinal: number(answer.ordinal)
	};
}
// src/messages/changes_log.ts
var ChangesLog = class {
	#conversationId;
	#appliedSeq;
	#visibleFromSeq = 0;
	#entries = /* @__PURE__ */ new Map();
	#sequences = /* @__PURE__ */ new Map();
	#ahead = /* @__PURE__ */ new Map();
	#sorted = [];
	/** `appliedSeq`: all changes up to this number are in what will be `prepend`ed. */
	constructor(conversationId, appliedSeq) {
		this.#conversationId = conversationId;
		this.#appliedSeq = appliedSeq;
	}
	/** All changes up to this number are applied. */
	get appliedSeq() {
		return this.#appliedSeq;
	}
	/** Whether changes wait for an earlier one that is missing. */
	get hasGap() {
		return this.#ahead.size > 0;
	}
	/** Messages and events in order; the same array until something changes. */
	get entries() {
		return this.#sorted ??= [...this.#entries.values()].sort((one, other) => one.messageSeq - other.messageSeq);
	}
	message(messageId) {
		const seq = this.#sequences.get(messageId);
		return seq === void 0 ? void 0 : this.#entries.get(seq);
	}
	/** Applies a change, and those that waited for it. One that is applied already changes nothing; one after a gap waits. */
	push(change) {
		if (change.messageSeq <= this.#appliedSeq) return;
		this.#ahead.set(change.messageSeq, change);
		this.#applyNext();
	}
	/** Applies the answer of `list_changes` after `appliedSeq`: numbers that it leaves out are not for this user. */
	fill(changes, lastSeq) {
		for (const change of changes) {
			if (change.messageSeq <= this.#appliedSeq) continue;
			this.#apply(change);
			this.#appliedSeq = change.messageSeq;
			this.#ahead.delete(change.messageSeq);
		}
		if (changes.length === 0) this.#appliedSeq = Math.max(this.#appliedSeq, lastSeq);
		for (const seq of this.#ahead.keys()) if (seq <= this.#appliedSeq) this.#ahead.delete(seq);
		this.#applyNext();
	}
	/** Drops what has a smaller number, and what comes of it later. */
	hideBefore(visibleFromSeq) {
		if (visibleFromSeq <= this.#visibleFromSeq) return;
		this.#visibleFromSeq = visibleFromSeq;
		for (const [seq, entry] of this.#entries) {
			if (seq >= visibleFromSeq) continue;
			this.#entries.delete(seq);
			if (!isEvent(entry)) this.#sequences.delete(entry.messageId);
		}
		this.#sorted = null;
	}
	/** Adds older messages, as they are now. */
	prepend(messages) {
		for (const message of messages) this.#setMessage(message);
	}
	/** Adds older events. */
	prependEvents(changes) {
		for (const change of changes) if (!isOfMessage(change)) this.#setEvent(change);
	}
	#applyNext() {
		for (let next = this.#ahead.get(this.#appliedSeq + 1); next; next = this.#ahead.get(this.#appliedSeq + 1)) {
			this.#ahead.delete(next.messageSeq);
			this.#apply(next);
			this.#appliedSeq = next.messageSeq;
		}
	}
	#apply(change) {
		if (!isOfMessage(change)) return this.#setEvent(change);
		if (!change.message) return;
		const known = this.message(change.message.messageId);
		if (change.type === "CHANGE_TYPE_MESSAGE_SENT") this.#setMessage(change.message);
		else if (known) this.#setMessage(merged(known, change.message));
	}
	#setMessage(message) {
		if (message.messageSeq < this.#visibleFromSeq) return;
		const known = this.message(message.messageId);
		if (known && isNewer(known, message)) return;
		this.#entries.set(message.messageSeq, message);
		this.#sequences.set(message.messageId, message.messageSeq);
		this.#sorted = null;
	}
	#setEvent({ message: _, ...change }) {
		if (change.messageSeq < this.#visibleFromSeq || this.#entries.has(change.messageSeq)) return;
		const key = `${this.#conversationId}:${change.messageSeq}`;
		this.#entries.set(change.messageSeq, {
			...change,
			kind: "event",
			key,
			conversationId: this.#conversationId
		});
		this.#sorted = null;
	}
};
/** A message after an edit or deletion, of which a push brings only what it has changed. */
function merged(known, { content, mentions, metadata, ...change }) {
	const editTime = change.editTime || known.editTime;
	if (!change.deleteTime) return {
		...known,
		content,
		mentions,
		metadata,
		editTime
	};
	return {
		...known,
		content,
		mentions,
		metadata,
		editTime,
		deleteTime: change.deleteTime,
		deletedBy: change.deletedBy
	};
}
var isEvent = (entry) => "kind" in entry;
var isOfMessage = ({ type }) => type === "CHANGE_TYPE_MESSAGE_SENT" || type === "CHANGE_TYPE_MESSAGE_EDITED" || type === "CHANGE_TYPE_MESSAGE_DELETED";
function isNewer(one, other) {
	if (one.deleteTime || other.deleteTime) return !other.deleteTime;
	return time(one.editTime) > time(other.editTime);
}
var time = (iso) => iso ? Date.parse(iso) : 0;
// src/messages/conversation_list.ts
var ConversationList = class {
	#all = /* @__PURE__ */ new Map();
	#sorted = [];
	#archived = [];
	#user;
	/** `user()`: the id of the user whose list it is. */
	constructor(user) {
		this.#user = user;
	}
	/** Those that are not archived: pinned ones first, then those with the latest change; the same array until something changes. */
	get all() {
		if (!this.#sorted) this.#sort();
		return this.#sorted;
	}
	/** The archived ones that are loaded, in the same order. */
	get archived() {
		if (!this.#sorted) this.#sort();
		return this.#archived;
	}
	/** How many messages are unread in conversations that are not muted. */
	unread(now = Date.now()) {
		return this.all.reduce((sum, { muteUntilMs, unreadCount }) => sum + (muteUntilMs > now ? 0 : unreadCount), 0);
	}
	get(conversationId) {
		return this.#all.get(conversationId);
	}
	withPeer(userId) {
		return [...this.#all.values()].find(({ peerId }) => peerId === userId);
	}
	/** A conversation as the server has it; one that is older than what pushes brought is not used: false. */
	load(loaded) {
		const known = this.#all.get(loaded.conversationId);
		if (known && known.lastMessageSeq > loaded.lastMessageSeq) return false;
		const unreadCount = !(known !== void 0 && known.readSeq > loaded.readSeq) ? loaded.unreadCount : known.readSeq >= loaded.lastMessageSeq ? 0 : Math.min(known.unreadCount, loaded.unreadCount);
		this.#set({
			...loaded,
			unreadCount,
			readSeq: Math.max(known?.readSeq ?? 0, loaded.readSeq)
		});
		return true;
	}
	/** What the conversation is for the user was changed, here or on another device. `stale`: how much is unread is not known. */
	pushMembership(conversationId, membership) {
		const known = this.#all.get(conversationId);
		if (known === void 0) return "stale";
		const isReadFurther = membership.readSeq > known.readSeq;
		const isAllRead = membership.readSeq >= known.lastMessageSeq;
		const unreadCount = isReadFurther && isAllRead ? 0 : known.unreadCount;
		this.#set({
			...known,
			...membership,
			readSeq: Math.max(known.readSeq, membership.readSeq),
			unreadCount
		});
		return isReadFurther && !isAllRead ? "stale" : "applied";
	}
	/** Messages with a smaller number have disappeared. `stale`: how much is unread is not known. */
	hideBefore(conversationId, visibleFromSeq) {
		const known = this.#all.get(conversationId);
		if (known === void 0) return "stale";
		if (visibleFromSeq <= known.visibleFromSeq) return "known";
		const isEmpty = (known.lastMessage?.messageSeq ?? 0) < visibleFromSeq;
		const { lastMessage, ...rest } = known;
		this.#set({
			...rest,
			...isEmpty || !lastMessage ? { unreadCount: 0 } : { lastMessage },
			visibleFromSeq
		});
		return !isEmpty && known.unreadCount && visibleFromSeq > known.readSeq + 1 ? "stale" : "applied";
	}
	/** Changes what this user has set. */
	patch(conversationId, fields) {
		const known = this.#all.get(conversationId);
		if (known) this.#set({
			...known,
			...fields
		});
	}
	/** The user has read up to a message, of which all but `left` later ones are read. */
	read(conversationId, messageSeq, left) {
		const known = this.#all.get(conversationId);
		if (!known) return;
		const isFurther = messageSeq > known.readSeq;
		this.#set({
			...known,
			markedUnread: false,
			...isFurther ? {
				readSeq: messageSeq,
				unreadCount: left
			} : {}
		});
	}
	/** Applies a pushed change; `members`: how many there are after it, and their epoch. */
	push(conversationId, change, members) {
		const known = this.#all.get(conversationId);
		if (known === void 0) return "stale";
		if (change.messageSeq <= known.lastMessageSeq) return "known";
		if (change.messageSeq > known.lastMessageSeq + 1) return "stale";
		const updateTime = change.timestamp ? new Date(change.timestamp).toISOString() : known.updateTime;
		const next = {
			...known,
			lastMessageSeq: change.messageSeq,
			updateTime,
			...members
		};
		this.#set({
			...next,
			...this.#effect(known, change)
		});
		return change.type === "CHANGE_TYPE_CONVERSATION_UPDATED" ? "stale" : "applied";
	}
	remove(conversationId) {
		this.#all.delete(conversationId);
		this.#sorted = null;
	}
	#effect(known, { type, message, messageSeq, userIds, role, retentionSeconds }) {
		const user = this.#user();
		if (type === "CHANGE_TYPE_MESSAGE_SENT" && message) {
			const archived = known.archived && known.muteUntilMs > message.timestamp;
			if (message.senderId === user) return {
				lastMessage: message,
				unreadCount: 0,
				readSeq: messageSeq,
				archived,
				markedUnread: false
			};
			return {
				lastMessage: message,
				unreadCount: known.unreadCount + 1,
				archived
			};
		}
		if ((type === "CHANGE_TYPE_MESSAGE_EDITED" || type === "CHANGE_TYPE_MESSAGE_DELETED") && message) {
			const last = known.lastMessage;
			const wasUnread = type === "CHANGE_TYPE_MESSAGE_DELETED" && message.messageSeq > known.readSeq;
			return {
				...last?.messageId === message.messageId ? { lastMessage: merged(last, message) } : {},
				unreadCount: Math.max(0, known.unreadCount - Number(wasUnread))
			};
		}
		if (type === "CHANGE_TYPE_RETENTION_CHANGED") return { retentionSeconds };
		if (type === "CHANGE_TYPE_CONVERTED_TO_CHANNEL") return { type: "CONVERSATION_TYPE_CHANNEL" };
		if (!userIds.includes(user)) return {};
		if (type === "CHANGE_TYPE_ROLE_CHANGED") return { role };
		if (type === "CHANGE_TYPE_MEMBERS_ADDED") return { role: "ROLE_MEMBER" };
		return type === "CHANGE_TYPE_MEMBER_REMOVED" || type === "CHANGE_TYPE_MEMBER_LEFT" ? { role: "ROLE_UNSPECIFIED" } : {};
	}
	#sort() {
		const sorted = [...this.#all.values()].sort(compare);
		this.#sorted = sorted.filter(({ archived }) => !archived);
		this.#archived = sorted.filter(({ archived }) => archived);
	}
	#set(conversation) {
		this.#all.set(conversation.conversationId, conversation);
		this.#sorted = null;
	}
};
function compare(one, other) {
	if (one.pinned !== other.pinned) return one.pinned ? -1 : 1;
	return Date.parse(other.updateTime) - Date.parse(one.updateTime) || (one.conversationId < other.conversationId ? -1 : 1);
}
// src/messages/directory.ts
var PAGE$1 = 100;
var STALE_DELAY_MS = 250;
var RETRY_MS$2 = 2e3;
var Directory = class {
	#client;
	#list;
	#onLoaded;
	#stale = /* @__PURE__ */ new Map();
	#inbox = {
		archived: false,
		next: "",
		loaded: 0,
		loading: void 0
	};
	#archive = {
		archived: true,
		next: "",
		loaded: 0,
		loading: void 0
	};
	/** `onLoaded(conversations)`: these were read and are in the list. */
	constructor(client, list, onLoaded) {
		this.#client = client;
		this.#list = list;
		this.#onLoaded = onLoaded;
	}
	get hasMore() {
		return this.#inbox.next !== "";
	}
	get hasMoreArchived() {
		return this.#archive.next !== "";
	}
	/** Reads as many pages as there were before, at least one; of the archived ones, too, if there were any. */
	async load() {
		await Promise.all([this.#reload(this.#inbox), this.#archive.loaded ? this.#reload(this.#archive) : void 0]);
	}
	loadMore() {
		return this.#loadNext(this.#inbox);
	}
	loadArchived() {
		return this.#loadNext(this.#archive);
	}
	/** The conversation must be read again, unless what is missing arrives soon. */
	readLater(conversationId, ms = STALE_DELAY_MS) {
		if (this.#stale.has(conversationId)) return;
		this.#stale.set(conversationId, setTimeout(() => void this.#read(conversationId), ms));
	}
	/** Reads a conversation now. */
	async read(conversationId) {
		const answer = await this.#client.call("get_conversation", { conversation_id: conversationId });
		this.add(answer.conversation);
	}
	/** A conversation that an answer has brought. */
	add(fields) {
		const conversation$1 = conversation(fields);
		if (!this.#list.load(conversation$1)) this.readLater(conversation$1.conversationId);
		this.#onLoaded([conversation$1]);
		return conversation$1;
	}
	close() {
		for (const timer of this.#stale.values()) clearTimeout(timer);
		this.#stale.clear();
	}
	async #read(conversationId) {
		this.#stale.delete(conversationId);
		try {
			await this.read(conversationId);
		} catch (error) {
			const { code, reason } = error;
			if (code === "NOT_FOUND") this.#list.remove(conversationId);
			else if (reason !== "CONNECTION_ENDED") this.readLater(conversationId, RETRY_MS$2);
		}
	}
	async #loadNext(pages) {
		await pages.loading;
		if (pages.loaded && !pages.next) return;
		await this.#loadPage(pages, pages.next);
		pages.loaded += 1;
	}
	#reload(pages) {
		return pages.loading ??= this.#loadPages(pages).finally(() => pages.loading = void 0);
	}
	async #loadPages(pages) {
		const shown = new Set((pages.archived ? this.#list.archived : this.#list.all).map(({ conversationId }) => conversationId));
		const count = Math.max(1, pages.loaded);
		pages.next = "";
		for (pages.loaded = 0; pages.loaded < count && (pages.loaded === 0 || pages.next); pages.loaded += 1) for (const id of await this.#loadPage(pages, pages.next)) shown.delete(id);
		for (const conversationId of shown) this.readLater(conversationId);
	}
	async #loadPage(pages, token) {
		const fields = {
			page_size: PAGE$1,
			page_token: token,
			archived: pages.archived
		};
		const answer = await this.#client.call("list_conversations", fields);
		const conversations$1 = conversations(answer);
		for (const conversation of conversations$1) if (!this.#list.load(conversation)) this.readLater(conversation.conversationId);
		pages.next = nextPage(answer);
		this.#onLoaded(conversations$1);
		return conversations$1.map(({ conversationId }) => conversationId);
	}
};
// src/messages/sender.ts
var CALL_TIMEOUT_MS = 2e4;
var Sender = class {
	#client;
	#outbox;
	#host;
	#busy = /* @__PURE__ */ new Set();
	constructor(client, outbox, host) {
		this.#client = client;
		this.#outbox = outbox;
		this.#host = host;
	}
	/** Sends what is queued; returns at once. */
	start() {
		for (const lane of this.#outbox.lanes()) if (!this.#busy.has(lane)) this.#run(lane);
	}
	async #run(lane) {
		this.#busy.add(lane);
		let attempt = 0;
		for (let entry = this.#outbox.head(lane); entry; entry = this.#outbox.head(lane)) try {
			const answer = await this.#send(entry);
			attempt = 0;
			this.#host.onAccepted(entry, answer);
		} catch (error) {
			const refusal = error;
			if (this.#client.state === "ended") break;
			if (isTemporary(refusal)) await delay(backoffDelay(attempt++, { minimum: refusal.retryAfterMs }));
			else this.#host.onRefused(entry, refusal);
		}
		this.#busy.delete(lane);
	}
	#send(entry) {
		const options = { timeout: CALL_TIMEOUT_MS };
		if (entry.action === "send") return this.#client.call("send_message", sendFields(entry), options);
		const { conversationId: conversation_id, target: message_id, content, mentions, metadata, id: op_id } = entry;
		const subject = {
			conversation_id,
			message_id,
			op_id
		};
		if (entry.action === "delete") return this.#client.call("delete_message", subject, options);
		return this.#client.call("edit_message", {
			...subject,
			content,
			mentions,
			metadata
		}, options);
	}
};
function sendFields(entry) {
	const { id, conversationId, recipientId, content, contentType, replyTo, mentions, metadata, forwardOf, clearDraft } = entry;
	const place = conversationId ? { conversation_id: conversationId } : { recipient_id: recipientId };
	if (forwardOf) return {
		...place,
		forward_of: forwardOf,
		client_msg_id: id
	};
	return {
		...place,
		content,
		content_type: contentType,
		client_msg_id: id,
		reply_to: replyTo,
		mentions,
		metadata,
		...clearDraft ? { clear_draft: true } : {}
	};
}
/** Whether another attempt may help: an entry is sent again for as long as it takes, and its id makes that safe. */
function isTemporary({ code, reason, retryAfterMs }) {
	if (code === "RESOURCE_EXHAUSTED") return reason === "RATE_LIMITED" || retryAfterMs > 0;
	return code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" || code === "UNAUTHENTICATED";
}
var delay = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
// src/messages/drafts.ts
var PREFIX$1 = "plaudit.draft.";
var SAVE_DELAY_MS = 1e3;
var RETRY_MS$1 = 3e3;
var TYPING_MS = 3e3;
var Drafts = class {
	#host;
	#unsaved = /* @__PURE__ */ new Map();
	#timers = /* @__PURE__ */ new Map();
	#saving = /* @__PURE__ */ new Set();
	#typed = /* @__PURE__ */ new Map();
	#stored = /* @__PURE__ */ new Map();
	#storage;
	#prefix = PREFIX$1;
	constructor(host) {
		this.#host = host;
	}
	/** Adds what an earlier page has not stored at the server, and keeps such drafts in the storage. */
	restore(storage, user) {
		this.#storage = storage;
		this.#prefix = `${PREFIX$1}${user}.`;
		const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? "");
		for (const key of keys.filter((each) => each.startsWith(this.#prefix))) {
			const conversationId = key.slice(this.#prefix.length);
			if (this.#unsaved.has(conversationId)) continue;
			this.#unsaved.set(conversationId, storage.getItem(key) ?? "");
			this.#saveLater(conversationId);
		}
	}
	/** The user has written this; it is stored at the server at most once a second. */
	set(conversationId, content) {
		if (content === this.#host.list.get(conversationId)?.draft) return;
		this.#typed.set(conversationId, Date.now());
		this.#write(conversationId, content);
	}
	/** The user sends what is written; the message ends the draft at the server. */
	end(conversationId) {
		this.#typed.delete(conversationId);
		this.#forget(conversationId);
		this.#show(conversationId, "");
	}
	/** Another device, or the server, has changed the draft. */
	push(conversationId, { content, timestamp, deviceId }) {
		if (deviceId !== "" && deviceId === this.#host.device()) return;
		if (timestamp <= (this.#stored.get(conversationId) ?? 0)) return;
		this.#stored.set(conversationId, timestamp);
		if (this.#unsaved.has(conversationId)) return;
		const known = this.#host.list.get(conversationId)?.draft ?? "";
		if (known === content) return;
		if (Date.now() - (this.#typed.get(conversationId) ?? -Infinity) < TYPING_MS) this.#write(conversationId, known);
		else this.#show(conversationId, content);
	}
	/** The conversation was read; what is not stored yet is shown over its draft. */
	onLoaded(conversationId) {
		const content = this.#unsaved.get(conversationId) ?? (this.#host.isEnding(conversationId) ? "" : void 0);
		if (content !== void 0 && content !== this.#host.list.get(conversationId)?.draft) this.#show(conversationId, content);
	}
	/** Stores at the server what is not stored yet: the page may be closed, or the user leaves the conversation. */
	flush() {
		for (const conversationId of [...this.#unsaved.keys()]) this.#save(conversationId);
	}
	close() {
		for (const timer of this.#timers.values()) clearTimeout(timer);
		this.#timers.clear();
	}
	#write(conversationId, content) {
		this.#unsaved.set(conversationId, content);
		try {
			this.#storage?.setItem(this.#prefix + conversationId, content);
		} catch (error) {
			console.warn("plaudit: a draft is not kept over a reload:", error);
		}
		this.#show(conversationId, content);
		this.#saveLater(conversationId);
	}
	#saveLater(conversationId, ms = SAVE_DELAY_MS) {
		if (this.#timers.has(conversationId)) return;
		this.#timers.set(conversationId, setTimeout(() => void this.#save(conversationId), ms));
	}
	async #save(conversationId) {
		clearTimeout(this.#timers.get(conversationId));
		this.#timers.delete(conversationId);
		const content = this.#unsaved.get(conversationId);
		if (content === void 0) return;
		if (this.#saving.has(conversationId) || this.#host.isEnding(conversationId)) return this.#saveLater(conversationId);
		this.#saving.add(conversationId);
		try {
			const fields = {
				conversation_id: conversationId,
				content,
				device_id: this.#host.device()
			};
			const timestamp = timestampOf(await this.#host.client.call("set_draft", fields));
			this.#stored.set(conversationId, Math.max(timestamp, this.#stored.get(conversationId) ?? 0));
			if (this.#unsaved.get(conversationId) === content) this.#forget(conversationId);
			else if (this.#unsaved.has(conversationId)) this.#saveLater(conversationId);
		} catch (error) {
			if (this.#host.client.state === "ended") return;
			if (isTemporary(error)) this.#saveLater(conversationId, RETRY_MS$1);
			else this.#forget(conversationId);
		} finally {
			this.#saving.delete(conversationId);
		}
	}
	#forget(conversationId) {
		clearTimeout(this.#timers.get(conversationId));
		this.#timers.delete(conversationId);
		this.#unsaved.delete(conversationId);
		this.#storage?.removeItem(this.#prefix + conversationId);
	}
	#show(conversationId, draft) {
		this.#host.list.patch(conversationId, { draft });
		this.#host.onChange();
	}
};
// src/messages/commands.ts
/** The commands of `Messenger`. They resolve once the server has made the change, and reject where it refuses it. */
var ConversationCommands = class extends Events {
	#settings = /* @__PURE__ */ new Map();
	/** The id of the direct conversation with a user, which is made where it is missing. */
	async openDirect(userId) {
		const known = this.list.withPeer(userId);
		return known ? known.conversationId : this.#create("create_conversation", { participant_ids: [userId] });
	}
	/** Creates a group with these other members; returns its id. */
	createGroup(name, memberIds) {
		return this.#create("create_group", {
			name,
			member_ids: memberIds,
			op_id: uuid7()
		});
	}
	addMembers(conversationId, userIds) {
		return this.#change("add_members", conversationId, { user_ids: userIds });
	}
	removeMember(conversationId, userId) {
		return this.#change("remove_member", conversationId, { user_id: userId });
	}
	leave(conversationId) {
		return this.#change("leave_conversation", conversationId);
	}
	setRole(conversationId, userId, role) {
		return this.#change("set_member_role", conversationId, {
			user_id: userId,
			role
		});
	}
	rename(conversationId, name) {
		return this.#change("update_conversation", conversationId, { name });
	}
	/** Lets messages disappear after a time, also those that are there; 0: they stay. */
	setRetention(conversationId, retentionSeconds) {
		return this.#change("set_retention", conversationId, { retention_seconds: retentionSeconds });
	}
	convertToChannel(conversationId) {
		return this.#change("convert_to_channel", conversationId);
	}
	async joinChannel(conversationId) {
		await this.#change("join_channel", conversationId);
		await this.directory.read(conversationId);
	}
	/** Mutes a conversation until a time in milliseconds since 1970; 0: no longer. */
	mute(conversationId, muteUntilMs) {
		return this.#setMembership(conversationId, { mute_until_ms: muteUntilMs }, { muteUntilMs });
	}
	pin(conversationId, pinned) {
		return this.#setMembership(conversationId, { pinned }, { pinned });
	}
	/** Moves a conversation to the archived ones, until a message comes; or back. */
	archive(conversationId, archived) {
		return this.#setMembership(conversationId, { archived }, { archived });
	}
	/** Shows a conversation as unread until it is read, whatever is unread; or no longer. */
	markUnread(conversationId, markedUnread) {
		return this.#setMembership(conversationId, { marked_unread: markedUnread }, { markedUnread });
	}
	/** Whether a change of `Membership` has no answer yet: pushes may be older than what is shown. */
	isSetting(conversationId) {
		return this.#settings.has(conversationId);
	}
	async #create(type, fields) {
		const answer = await this.client.call(type, fields);
		return this.directory.add(answer.conversation).conversationId;
	}
	async #change(type, conversationId, fields = {}) {
		await this.client.call(type, {
			conversation_id: conversationId,
			op_id: uuid7(),
			...fields
		});
	}
	async #setMembership(conversationId, fields, shown) {
		this.list.patch(conversationId, shown);
		this.onListChanged();
		this.#settings.set(conversationId, (this.#settings.get(conversationId) ?? 0) + 1);
		try {
			await this.client.call("update_membership", {
				conversation_id: conversationId,
				...fields
			});
		} catch (error) {
			this.directory.readLater(conversationId);
			throw error;
		} finally {
			const left = this.#settings.get(conversationId) - 1;
			if (left) this.#settings.set(conversationId, left);
			else this.#settings.delete(conversationId);
		}
	}
};
// src/messages/message_commands.ts
/** The commands of `Messenger` for messages. They resolve once the server has made the change, and reject where it refuses it. */
var MessageCommands = class extends ConversationCommands {
	/** Sends a message; it is shown at once. Resolves once the server has it, rejects where the server refuses it. */
	send(conversationId, content, options) {
		const sent = this.outgoing.send({
			conversationId,
			recipientId: ""
		}, content, options);
		if (options?.clearDraft) this.drafts.end(conversationId);
		return sent;
	}
	/** Sends a message to a user, in the direct conversation with them, which is made where it is missing. */
	sendTo(userId, content, options) {
		const conversationId = this.list.withPeer(userId)?.conversationId ?? "";
		return this.outgoing.send({
			conversationId,
			recipientId: conversationId ? "" : userId
		}, content, options);
	}
	/**
	* Sends the content of a message to another conversation, or the same one, marked as forwarded; it is shown at once. Each
	* call is a message of its own, a repeated attempt of it is not. Who wrote the content and where is not told.
	*/
	forward(conversationId, message) {
		return this.outgoing.forward(conversationId, message);
	}
	edit(conversationId, message, content, options) {
		return this.outgoing.change(conversationId, "edit", message, content, options);
	}
	/** Deletes a message for everyone: an own one, or as an admin of a group or channel one of another user. */
	delete(conversationId, message) {
		return this.outgoing.change(conversationId, "delete", message);
	}
	/** Sends a refused message again, after what is queued now. */
	retry(conversationId, message) {
		return this.outgoing.retry(conversationId, message.clientMsgId);
	}
	/** Forgets a message that was not accepted. */
	discard(conversationId, message) {
		this.outgoing.discard(conversationId, message.clientMsgId);
	}
	/**
	* What the user has written and not sent in a conversation; `Conversation.draft` has it. It is stored at the server at most
	* once a second and then is on the user's other devices; with the option `storage` it is kept over a reload. A message
	* that is sent with `clearDraft` ends it.
	*/
	setDraft(conversationId, content) {
		this.drafts.set(conversationId, content);
	}
	/** Stores all drafts now: the user leaves a conversation. */
	saveDrafts() {
		this.drafts.flush();
	}
	/** Pins a message for all members; in a group or channel only admins may. The event `pins` follows. */
	pinMessage(conversationId, { messageId }) {
		return this.#call("pin_message", conversationId, {
			message_id: messageId,
			op_id: uuid7()
		});
	}
	unpinMessage(conversationId, { messageId }) {
		return this.#call("unpin_message", conversationId, {
			message_id: messageId,
			op_id: uuid7()
		});
	}
	/** Reports a message to the moderators, with a copy of its text. `comment`: at most 1,000 characters. */
	reportMessage(conversationId, { messageId }, reason, comment = "") {
		return this.#call("report_message", conversationId, {
			message_id: messageId,
			reason,
			comment
		});
	}
	async #call(type, conversationId, fields) {
		await this.client.call(type, {
			conversation_id: conversationId,
			...fields
		});
	}
};
// src/messages/pins.ts
var Pins = class {
	#client;
	#id;
	#onChange;
	#all = [];
	#isLoading = false;
	#isStale = false;
	constructor(client, conversationId, onChange) {
		this.#client = client;
		this.#id = conversationId;
		this.#onChange = onChange;
	}
	/** The latest pin first. */
	get all() {
		return this.#all;
	}
	/** Reads them; once more where they have changed meanwhile. */
	async load() {
		this.#isStale = true;
		if (this.#isLoading) return;
		this.#isLoading = true;
		try {
			while (this.#isStale) {
				this.#isStale = false;
				this.#set(pinnedMessages(await this.#client.call("list_pinned_messages", { conversation_id: this.#id })));
			}
		} catch {} finally {
			this.#isLoading = false;
		}
	}
	/** Messages with a smaller number have disappeared. */
	hideBefore(visibleFromSeq) {
		const left = this.#all.filter(({ message }) => message.messageSeq >= visibleFromSeq);
		if (left.length < this.#all.length) this.#set(left);
	}
	#set(pins) {
		this.#all = pins;
		this.#onChange();
	}
};
// src/messages/positions.ts
var Positions = class {
	#receipts = /* @__PURE__ */ new Map();
	#joined = /* @__PURE__ */ new Map();
	get all() {
		return [...this.#receipts.values()];
	}
	/** Replaces the members and their positions by those that were loaded; no position moves back. */
	load(members, receipts) {
		const before = new Map(this.#receipts);
		this.#receipts.clear();
		this.#joined.clear();
		for (const { userId, joinedSeq } of members) this.#joined.set(userId, joinedSeq);
		for (const receipt of receipts) this.#receipts.set(receipt.userId, merge(before.get(receipt.userId), receipt));
	}
	/** A member has received or read messages; returns whether that is new. */
	push(receipt) {
		const before = this.#receipts.get(receipt.userId);
		const merged = merge(before, receipt);
		if (merged.deliveredSeq === before?.deliveredSeq && merged.readSeq === before.readSeq) return false;
		this.#receipts.set(receipt.userId, merged);
		return true;
	}
	/** Up to which message all others have received and read. What was written before a member joined does not count. */
	least() {
		let deliveredSeq = Infinity;
		let readSeq = Infinity;
		for (const receipt of this.#receipts.values()) {
			const joined = this.#joined.get(receipt.userId) ?? 0;
			deliveredSeq = Math.min(deliveredSeq, Math.max(receipt.deliveredSeq, joined));
			readSeq = Math.min(readSeq, Math.max(receipt.readSeq, joined));
		}
		return this.#receipts.size ? {
			deliveredSeq,
			readSeq
		} : {
			deliveredSeq: 0,
			readSeq: 0
		};
	}
};
function merge(before, { userId, deliveredSeq, readSeq }) {
	const read = Math.max(before?.readSeq ?? 0, readSeq);
	return {
		userId,
		deliveredSeq: Math.max(before?.deliveredSeq ?? 0, deliveredSeq, read),
		readSeq: read
	};
}
// src/messages/open_conversation.ts
var PAGE = 50;
var MAX_PAGE = 200;
var MAX_EVENT_PAGES = 4;
var MAX_CATCH_UP = 1e3;
var GAP_DELAY_MS = 250;
var EXPECT_DELAY_MS = 1e3;
var RETRY_MS = 2e3;
var OpenConversation = class {
	/** How many views show it. */
	views = 0;
	isLoading = false;
	error;
	members = [];
	positions = new Positions();
	pins;
	#id;
	#host;
	#log;
	#early = [];
	#olderToken = "";
	#oldestSeq = 0;
	#visibleFromSeq = 0;
	#isFilling = false;
	#expectedSeq = 0;
	#timer;
	#isClosed = false;
	constructor(conversationId, host) {
		this.#id = conversationId;
		this.#host = host;
		this.pins = new Pins(host.client, conversationId, () => !this.#isClosed && host.onPins());
	}
	get log() {
		return this.#log;
	}
	get hasOlder() {
		return this.#olderToken !== "";
	}
	close() {
		this.#isClosed = true;
		clearTimeout(this.#timer);
	}
	/** Loads the latest page, the members and their receipts. */
	async load() {
		this.pins.load();
		await this.#loading(async () => {
			const appliedSeq = this.#host.lastSeq() ?? await this.#readLastSeq();
			const answer = await this.#call("list_messages", { page_size: PAGE });
			const messages$2 = messages(answer);
			const log = new ChangesLog(this.#id, appliedSeq);
			log.hideBefore(this.#visibleFromSeq);
			log.prepend(messages$2.filter(({ messageSeq }) => messageSeq <= appliedSeq));
			this.#log = log;
			this.#olderToken = olderPage(answer);
			this.#oldestSeq = appliedSeq + 1;
			for (const change of [...messages$2.map(sentChange), ...this.#early.splice(0)]) log.push(change);
			this.#host.onTimeline();
			await this.#loadEvents(messages$2[0]?.messageSeq);
		});
		if (this.#isIncomplete) this.#fillLater();
		await this.loadMembers();
	}
	/** Loads the page before the oldest one. */
	async loadOlder(size) {
		if (this.isLoading || !this.#olderToken) return;
		await this.#loading(async () => {
			const answer = await this.#call("list_messages", {
				before: this.#olderToken,
				page_size: Math.min(size, MAX_PAGE)
			});
			const messages$1 = messages(answer);
			this.#log?.prepend(messages$1);
			this.#olderToken = olderPage(answer);
			await this.#loadEvents(messages$1[0]?.messageSeq);
		});
	}
	/** Loads the members and up to what they have received; a channel has no receipts. */
	async loadMembers() {
		try {
			const members$1 = members(await this.#call("list_members", {}));
			const receipts = await this.#loadReceipts();
			this.members = members$1;
			this.positions.load(members$1, receipts);
			this.#host.onMembers();
			this.#host.onTimeline();
		} catch (error) {
			warn("members could not be loaded", error);
		}
	}
	push(change) {
		if (!this.#log) {
			this.#early.push(change);
			return;
		}
		this.#log.push(change);
		if (this.#isIncomplete) this.#fillLater();
		if (change.userIds.length) this.loadMembers();
		if (changesPins(change)) this.pins.load();
		this.#host.onTimeline();
	}
	/** Messages with a smaller number have disappeared. */
	hideBefore(visibleFromSeq) {
		this.#visibleFromSeq = Math.max(this.#visibleFromSeq, visibleFromSeq);
		this.#log?.hideBefore(this.#visibleFromSeq);
		this.pins.hideBefore(this.#visibleFromSeq);
		this.#host.onTimeline();
	}
	pushReceipt(receipt) {
		if (this.positions.push(receipt)) this.#host.onTimeline();
	}
	/** A change of this number exists: it is fetched where it does not arrive by itself. */
	expect(seq) {
		this.#expectedSeq = Math.max(this.#expectedSeq, seq);
		if (this.#isIncomplete) this.#fillLater(EXPECT_DELAY_MS);
	}
	/** Changes may have been missed: fetches those after the last one that is applied, or the latest page where they are many. */
	async catchUp() {
		if (!this.#log) {
			if (!this.isLoading) await this.load();
			return;
		}
		if ((this.#host.lastSeq() ?? 0) - this.#log.appliedSeq > MAX_CATCH_UP) await this.load();
		else await this.#fill();
	}
	get #isIncomplete() {
		return this.#log !== void 0 && (this.#log.hasGap || this.#log.appliedSeq < this.#expectedSeq);
	}
	#fillLater(ms = GAP_DELAY_MS) {
		if (this.#isClosed) return;
		clearTimeout(this.#timer);
		this.#timer = setTimeout(() => this.#isIncomplete && void this.#fill(), ms);
	}
	async #fill() {
		const log = this.#log;
		if (!log || this.#isFilling) return;
		this.#isFilling = true;
		try {
			for (let lastSeq = Infinity; log.appliedSeq < lastSeq;) {
				const answer = await this.#call("list_changes", {
					after_seq: log.appliedSeq,
					page_size: MAX_PAGE
				});
				const changes$1 = changes(answer);
				lastSeq = lastSeqOf(answer);
				log.fill(changes$1, lastSeq);
				if (changes$1.some(changesPins)) this.pins.load();
				this.hideBefore(visibleFromOf(answer));
				this.#host.onTimeline();
			}
		} catch (error) {
			warn("changes could not be loaded", error);
			this.#fillLater(RETRY_MS);
		} finally {
			this.#isFilling = false;
		}
	}
	async #loadEvents(firstSeq) {
		const before = this.#oldestSeq;
		this.#oldestSeq = this.#olderToken && firstSeq ? Math.min(firstSeq, before) : 1;
		let afterSeq = this.#oldestSeq - 1;
		for (let page = 0; page < MAX_EVENT_PAGES && afterSeq + 1 < before; page += 1) {
			const changes$2 = changes(await this.#call("list_changes", {
				after_seq: afterSeq,
				page_size: Math.min(MAX_PAGE, before - 1 - afterSeq)
			})).filter(({ messageSeq }) => messageSeq < before);
			this.#log?.prependEvents(changes$2);
			if (changes$2.length === 0) return;
			afterSeq = changes$2[changes$2.length - 1].messageSeq;
		}
	}
	async #readLastSeq() {
		const fields = (await this.#call("get_conversation", {})).conversation;
		this.#host.onConversation(fields);
		return lastSeqOf(fields);
	}
	async #loadReceipts() {
		const receipts$1 = [];
		let token = "";
		do {
			let answer;
			try {
				answer = await this.#call("list_receipts", { page_token: token });
			} catch (error) {
				if (error.reason === "NO_RECEIPTS") return [];
				throw error;
			}
			receipts$1.push(...receipts(answer));
			token = nextPage(answer);
		} while (token);
		return receipts$1;
	}
	async #loading(work) {
		if (this.isLoading) return;
		this.isLoading = true;
		this.error = void 0;
		this.#host.onTimeline();
		try {
			await work();
		} catch (error) {
			if (!(error instanceof PlauditError)) throw error;
			this.error = error;
		} finally {
			this.isLoading = false;
			this.#host.onTimeline();
		}
	}
	#call(type, fields) {
		return this.#host.client.call(type, {
			conversation_id: this.#id,
			...fields
		});
	}
};
function warn(what, error) {
	const { code, reason, message } = error;
	if (code !== "NOT_FOUND" && reason !== "CONNECTION_ENDED") console.warn(`plaudit: ${what}:`, message);
}
// src/messages/views.ts
/** Makes items; an item is another object only where something of it has changed. */
var TimelineView = class {
	#cache = /* @__PURE__ */ new Map();
	items({ entries, outbox, user, deliveredSeq, readSeq }) {
		const cache = /* @__PURE__ */ new Map();
		const changes = /* @__PURE__ */ new Map();
		for (const entry of outbox) if (entry.action !== "send" && entry.state !== "failed") changes.set(entry.target, entry);
		const make = (key, inputs, build) => {
			const known = this.#cache.get(key);
			const message = known && isSame(known.inputs, inputs) ? known.message : build();
			cache.set(key, {
				inputs,
				message
			});
			return message;
		};
		const shown = /* @__PURE__ */ new Set();
		const items = entries.map((entry) => {
			if (isEvent(entry)) return entry;
			const key = keyOf(entry, user);
			const status = statusOf(entry, user, deliveredSeq, readSeq);
			const change = changes.get(entry.messageId);
			shown.add(key);
			return make(key, [
				entry,
				status,
				change
			], () => stored(entry, key, user, status, change));
		});
		for (const entry of outbox) {
			if (entry.action !== "send" || shown.has(entry.id)) continue;
			const change = changes.get(entry.id) ?? changes.get(entry.accepted?.messageId ?? "");
			items.push(make(entry.id, [
				entry,
				change,
				user
			], () => queued(entry, user, change)));
		}
		this.#cache = cache;
		return items;
	}
};
/** A stored message as it is shown, without changes that are not accepted. */
var shownMessage = (entry, user) => stored(entry, keyOf(entry, user), user, "sent", void 0);
/** The ids of the accepted entries that the log shows by itself; without a log all accepted ones. */
function settled(outbox, log) {
	return outbox.filter(({ accepted }) => accepted && (log === void 0 || accepted.messageSeq <= log.appliedSeq)).map(({ id }) => id);
}
var keyOf = (message, user) => message.senderId === user && message.clientMsgId ? message.clientMsgId : message.messageId;
function statusOf({ senderId, messageSeq }, user, deliveredSeq, readSeq) {
	if (senderId !== user || messageSeq > deliveredSeq) return "sent";
	return messageSeq > readSeq ? "delivered" : "read";
}
function stored(entry, key, user, status, change) {
	const { editTime, deleteTime, ...fields } = entry;
	return withChange({
		...fields,
		kind: "message",
		key,
		own: entry.senderId === user,
		edited: editTime !== "",
		deleted: deleteTime !== "",
		status
	}, change);
}
function queued(entry, user, change) {
	const { id, conversationId, content, contentType, replyTo, mentions, metadata, accepted, state, error, forwardCount = 0 } = entry;
	const status = state === "queued" ? "pending" : state === "failed" ? "failed" : "sent";
	return withChange({
		kind: "message",
		key: id,
		conversationId,
		messageId: accepted?.messageId ?? "",
		clientMsgId: id,
		senderId: user,
		own: true,
		content,
		contentType,
		timestamp: accepted?.timestamp ?? entry.timestamp,
		messageSeq: accepted?.messageSeq ?? 0,
		ordinal: accepted?.ordinal ?? 0,
		replyTo,
		mentions,
		metadata,
		edited: false,
		deleted: false,
		deletedBy: "DELETED_BY_UNSPECIFIED",
		forwardCount,
		status,
		...error ? { error } : {}
	}, change);
}
function withChange(message, change) {
	if (change === void 0 || message.deleted) return message;
	if (change.action === "delete") return {
		...message,
		content: "",
		deleted: true,
		deletedBy: message.own ? "DELETED_BY_SENDER" : "DELETED_BY_ADMIN",
		change: "delete"
	};
	return {
		...message,
		content: change.content,
		mentions: change.mentions,
		edited: true,
		change: "edit"
	};
}
var isSame = (one, other) => one.every((value, index) => value === other[index]);
// src/messages/open_conversations.ts
var EMPTY = {
	items: [],
	hasOlder: false,
	isLoading: false
};
var OpenConversations = class {
	#host;
	#all = /* @__PURE__ */ new Map();
	constructor(host) {
		this.#host = host;
	}
	get(conversationId) {
		return this.#all.get(conversationId)?.conversation;
	}
	/** Adds a view; returns what removes it. */
	open(conversationId) {
		const shown = this.#all.get(conversationId) ?? this.#add(conversationId);
		shown.conversation.views += 1;
		let isOpen = true;
		return () => {
			if (!isOpen) return;
			isOpen = false;
			shown.conversation.views -= 1;
			if (shown.conversation.views === 0) this.#remove(conversationId, shown);
		};
	}
	close() {
		for (const [conversationId, shown] of [...this.#all]) this.#remove(conversationId, shown);
	}
	catchUp() {
		for (const { conversation } of this.#all.values()) {
			conversation.catchUp();
			conversation.loadMembers();
		}
	}
	/** The same object until something changes. */
	timeline(conversationId) {
		const shown = this.#all.get(conversationId);
		if (!shown) return EMPTY;
		return shown.timeline ??= this.#build(conversationId, shown);
	}
	/** The timeline of the conversation has changed. */
	changed(conversationId) {
		const shown = this.#all.get(conversationId);
		for (const id of settled(this.#host.outbox.of(conversationId), shown?.conversation.log)) this.#host.outbox.remove(id);
		if (shown) shown.timeline = void 0;
		this.#host.onTimeline(conversationId);
	}
	/** A message that is shown, by its key, its id or its `client_msg_id`. */
	message(conversationId, id) {
		const { items } = this.timeline(conversationId);
		return items.find((item) => item.kind === "message" && (item.key === id || item.messageId === id));
	}
	/** A stored message as a view shows it. */
	shown(message) {
		return shownMessage(message, this.#host.user());
	}
	/** How many messages of others follow a number, as far as they are loaded. */
	countAfter(conversationId, messageSeq) {
		const entries = this.get(conversationId)?.log?.entries ?? [];
		const user = this.#host.user();
		return entries.filter((entry) => entry.messageSeq > messageSeq && !isEvent(entry) && entry.senderId !== user && !entry.deleteTime).length;
	}
	#add(conversationId) {
		const { client, lastSeq, onConversation, onMembers, onPins } = this.#host;
		const conversation = new OpenConversation(conversationId, {
			client,
			lastSeq: () => lastSeq(conversationId),
			onConversation,
			onTimeline: () => this.changed(conversationId),
			onMembers: () => onMembers(conversationId),
			onPins: () => onPins(conversationId)
		});
		const shown = {
			conversation,
			view: new TimelineView(),
			timeline: void 0
		};
		this.#all.set(conversationId, shown);
		client.subscribe([`conversations/${conversationId}`]);
		conversation.load();
		return shown;
	}
	#remove(conversationId, { conversation }) {
		this.#all.delete(conversationId);
		this.#host.client.unsubscribe([`conversations/${conversationId}`]);
		conversation.close();
	}
	#build(conversationId, { conversation, view }) {
		const { log, hasOlder, isLoading, error, positions } = conversation;
		const outbox = this.#host.outbox.of(conversationId);
		return {
			items: view.items({
				entries: log?.entries ?? [],
				outbox,
				user: this.#host.user(),
				...positions.least()
			}),
			hasOlder,
			isLoading,
			...error ? { error } : {}
		};
	}
};
// src/messages/outgoing.ts
var MAX_FORWARD_COUNT = 5;
var Outgoing = class {
	#outbox;
	#host;
	#sender;
	#waiting = /* @__PURE__ */ new Map();
	constructor(client, outbox, host) {
		this.#outbox = outbox;
		this.#host = host;
		this.#sender = new Sender(client, outbox, {
			onAccepted: (entry, answer) => this.#onAccepted(entry, answer),
			onRefused: (entry, error) => this.#onRefused(entry, error)
		});
	}
	/** Sends what is queued. */
	start() {
		this.#sender.start();
	}
	send(place, content, options = {}) {
		const { replyTo = "", mentions = [], metadata = {}, contentType = "text", clearDraft = false } = options;
		const lane = place.conversationId ? this.#host.lane(place.conversationId) : `user:${place.recipientId}`;
		return this.#queue({
			...newEntry(),
			...place,
			action: "send",
			lane,
			target: "",
			content,
			contentType,
			replyTo,
			mentions,
			metadata,
			clearDraft
		});
	}
	forward(conversationId, { messageId, content, contentType, forwardCount }) {
		const count = Math.min(MAX_FORWARD_COUNT, forwardCount + 1);
		const lane = this.#host.lane(conversationId);
		return this.#queue({
			...newEntry(),
			conversationId,
			lane,
			content,
			contentType,
			forwardOf: messageId,
			forwardCount: count
		});
	}
	/** Whether a message that ends the draft of the conversation is not yet accepted. */
	endsDraft(conversationId) {
		return this.#outbox.of(conversationId).some(({ clearDraft, state }) => clearDraft && state === "queued");
	}
	change(conversationId, action, message, content = "", options = {}) {
		const { mentions = [], metadata = {} } = options;
		const target = message.messageId || message.clientMsgId;
		const entry = {
			...newEntry(),
			conversationId,
			action,
			lane: this.#host.lane(conversationId),
			target,
			content,
			mentions,
			metadata
		};
		const refused = this.#outbox.get(target);
		if (refused?.state !== "failed") return this.#queue(entry);
		this.#changeRefused(refused, entry);
		return Promise.resolve();
	}
	retry(conversationId, id) {
		const entry = this.#outbox.get(id);
		if (entry?.state !== "failed") return Promise.resolve();
		const { error: _, ...rest } = entry;
		return this.#queue({
			...rest,
			conversationId,
			order: uuid7(),
			state: "queued"
		});
	}
	discard(conversationId, id) {
		this.#outbox.remove(id);
		this.#settle(id)?.reject(new PlauditError({
			code: "CANCELLED",
			reason: "DISCARDED"
		}));
		this.#host.onChange(conversationId);
	}
	#queue(entry) {
		const done = new Promise((resolve, reject) => this.#waiting.set(entry.id, {
			resolve,
			reject
		}));
		done.catch(() => {});
		this.#outbox.set(entry);
		this.#host.onChange(entry.conversationId);
		this.#sender.start();
		return done;
	}
	#onAccepted(entry, answer) {
		const accepted$1 = accepted(answer);
		const conversationId = entry.conversationId || conversationIdOf(answer);
		for (const later of this.#outbox.inLane(entry.lane)) {
			const named = later.conversationId ? later : {
				...later,
				conversationId
			};
			const aimed = later.target === entry.id ? {
				...named,
				target: accepted$1.messageId
			} : named;
			if (aimed !== later) this.#outbox.set(aimed);
		}
		if (this.#outbox.get(entry.id)) this.#outbox.set({
			...entry,
			conversationId,
			state: "accepted",
			accepted: accepted$1
		});
		this.#host.onAccepted(conversationId, accepted$1.messageSeq);
		this.#host.onChange(conversationId);
		this.#settle(entry.id)?.resolve();
	}
	#onRefused(entry, error) {
		if (entry.action === "send") {
			this.#outbox.set({
				...entry,
				state: "failed",
				error
			});
			for (const later of this.#outbox.inLane(entry.lane)) if (later.target === entry.id) this.#changeRefused(this.#outbox.get(entry.id), later);
		} else this.#outbox.remove(entry.id);
		this.#host.onChange(entry.conversationId);
		this.#host.onRefused(entry, error);
		this.#settle(entry.id)?.reject(error);
	}
	#changeRefused(refused, change) {
		this.#outbox.remove(change.id);
		this.#settle(change.id)?.resolve();
		if (refused && change.action === "edit") this.#outbox.set({
			...written(refused),
			content: change.content,
			mentions: change.mentions
		});
		else if (refused) this.discard(refused.conversationId, refused.id);
		this.#host.onChange(change.conversationId);
	}
	#settle(id) {
		const waiting = this.#waiting.get(id);
		this.#waiting.delete(id);
		return waiting;
	}
};
function written({ forwardOf: _, forwardCount: __, ...entry }) {
	return entry;
}
function newEntry() {
	const id = uuid7();
	return {
		id,
		order: id,
		action: "send",
		lane: "",
		conversationId: "",
		recipientId: "",
		target: "",
		content: "",
		contentType: "text",
		replyTo: "",
		mentions: [],
		metadata: {},
		timestamp: Date.now(),
		state: "queued"
	};
}
// src/messages/outbox.ts
var PREFIX = "plaudit.queue.";
var Outbox = class {
	#entries = /* @__PURE__ */ new Map();
	#storage;
	#prefix = PREFIX;
	/** Keeps all entries in the storage, those of `user`, and adds what an earlier page has left there. */
	restore(storage, user) {
		this.#storage = storage;
		this.#prefix = `${PREFIX}${user}.`;
		const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? "");
		for (const key of keys.filter((each) => each.startsWith(this.#prefix))) {
			const entry = read(storage.getItem(key));
			if (entry === null) storage.removeItem(key);
			else if (!this.#entries.has(entry.id)) this.#entries.set(entry.id, entry);
		}
		for (const entry of this.#entries.values()) this.#save(entry);
	}
	get(id) {
		return this.#entries.get(id);
	}
	/** Adds an entry, or replaces the one with its id. */
	set(entry) {
		this.#entries.set(entry.id, entry);
		this.#save(entry);
	}
	remove(id) {
		this.#entries.delete(id);
		this.#storage?.removeItem(this.#prefix + id);
	}
	/** The entries of a conversation, in order. */
	of(conversationId) {
		return this.#sorted().filter((entry) => entry.conversationId === conversationId);
	}
	/** The entries of a lane, in order. */
	inLane(lane) {
		return this.#sorted().filter((entry) => entry.lane === lane);
	}
	/** The entry of a lane that is to be sent next. */
	head(lane) {
		return this.inLane(lane).find(({ state }) => state === "queued");
	}
	/** The lanes with entries to send. */
	lanes() {
		const queued = this.#sorted().filter(({ state }) => state === "queued");
		return [...new Set(queued.map(({ lane }) => lane))];
	}
	#sorted() {
		return [...this.#entries.values()].sort((one, other) => one.order < other.order ? -1 : 1);
	}
	#save(entry) {
		const key = this.#prefix + entry.id;
		if (entry.state === "accepted") {
			this.#storage?.removeItem(key);
			return;
		}
		try {
			this.#storage?.setItem(key, JSON.stringify({
				...entry,
				error: entry.error && {
					...entry.error,
					message: entry.error.message
				}
			}));
		} catch (error) {
			console.warn("plaudit: a message is not kept over a reload:", error);
		}
	}
};
function read(text) {
	try {
		const entry = JSON.parse(text ?? "");
		if (!entry.id || !entry.order || !entry.lane || !["queued", "failed"].includes(entry.state)) return null;
		return entry.error ? {
			...entry,
			error: new PlauditError(entry.error)
		} : entry;
	} catch {
		return null;
	}
}
// src/messages/read_positions.ts
var INTERVAL_MS = 1e3;
var ReadPositions = class {
	#client;
	#onRefused;
	#waiting = /* @__PURE__ */ new Map();
	#timers = /* @__PURE__ */ new Map();
	#isClosed = false;
	constructor(client, onRefused) {
		this.#client = client;
		this.#onRefused = onRefused;
	}
	/** The user has read up to a message. */
	mark(conversationId, position) {
		if (position.messageSeq < (this.#waiting.get(conversationId)?.messageSeq ?? 0)) return;
		this.#waiting.set(conversationId, position);
		if (!this.#timers.has(conversationId)) this.#say(conversationId);
	}
	/** Says at once what waits: there may be no later time. */
	flush() {
		for (const conversationId of [...this.#waiting.keys()]) this.#say(conversationId);
	}
	/** As `flush`, and nothing is said again. */
	close() {
		this.#isClosed = true;
		this.flush();
		for (const timer of this.#timers.values()) clearTimeout(timer);
		this.#timers.clear();
	}
	#say(conversationId) {
		const position = this.#waiting.get(conversationId);
		if (!position) return;
		this.#waiting.delete(conversationId);
		this.#sayLater(conversationId);
		const { messageId, isPrivate } = position;
		this.#client.call("mark_read", {
			conversation_id: conversationId,
			message_id: messageId,
			private: isPrivate
		}).catch((error) => this.#onError(conversationId, position, error));
	}
	#sayLater(conversationId) {
		clearTimeout(this.#timers.get(conversationId));
		const say = () => {
			this.#timers.delete(conversationId);
			this.#say(conversationId);
		};
		this.#timers.set(conversationId, setTimeout(say, INTERVAL_MS));
	}
	#onError(conversationId, position, error) {
		if (this.#isClosed || this.#client.state === "ended") return;
		if (!(error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED" || error.code === "RESOURCE_EXHAUSTED")) this.#onRefused(conversationId, error);
		else if (!this.#waiting.has(conversationId)) {
			this.#waiting.set(conversationId, position);
			if (!this.#timers.has(conversationId)) this.#sayLater(conversationId);
		}
	}
};
// src/messages/messenger.ts
var CONVERSATIONS = "conversations/";
/**
* The list and the open conversations of the user of a client, up to date as long as it is connected. Give the client the
* options `device` and `backlog`: then what was sent while the device was away is delivered for its senders, too.
*/
var Messenger = class extends MessageCommands {
	client;
	list;
	directory;
	#storage;
	#backlog;
	#open;
	#outbox = new Outbox();
	outgoing;
	drafts;
	#reads;
	#changed = new ChangedEvents();
	#listeners;
	#channels = /* @__PURE__ */ new Set();
	#pushed = /* @__PURE__ */ new Map();
	#user = "";
	#mustLoad = true;
	constructor(client, { storage } = {}) {
		super();
		this.client = client;
		this.#storage = storage;
		this.list = new ConversationList(() => this.#user);
		this.directory = new Directory(client, this.list, (loaded) => this.#onLoaded(loaded));
		this.#backlog = new Backlog(client, this.list, this.directory);
		this.#open = new OpenConversations({
			client,
			user: () => this.#user,
			outbox: this.#outbox,
			lastSeq: (id) => this.list.get(id)?.lastMessageSeq,
			onConversation: (fields) => this.directory.add(fields),
			onTimeline: (id) => this.#soon("timeline", id),
			onMembers: (id) => this.#soon("members", id),
			onPins: (id) => this.#soon("pins", id)
		});
		this.outgoing = new Outgoing(client, this.#outbox, {
			lane: (id) => this.#laneOf(id),
			onChange: (id) => this.#open.changed(id),
			onAccepted: (id, seq) => this.#onAccepted(id, seq),
			onRefused: (entry, error) => {
				const message = this.#open.message(entry.conversationId, entry.action === "send" ? entry.id : entry.target);
				const { conversationId, action } = entry;
				this.emit("refused", {
					conversationId,
					...message ? { message } : {},
					action,
					error
				});
			}
		});
		this.drafts = new Drafts({
			client,
			list: this.list,
			device: () => client.device,
			isEnding: (id) => this.outgoing.endsDraft(id),
			onChange: () => this.#soon("conversations")
		});
		this.#reads = new ReadPositions(client, (conversationId, error) => {
			this.directory.readLater(conversationId);
			this.emit("refused", {
				conversationId,
				action: "read",
				error
			});
		});
		this.#listeners = [
			client.on("welcome", ({ complete }) => this.#onWelcome(complete)),
			client.on("subscribed", ({ topics }) => this.#onSubscribed(topics)),
			client.on("push", ({ frame, isBacklog }) => this.#onPush(frame, isBacklog)),
			client.on("backlog", ({ incomplete }) => this.#backlog.onDone(incomplete))
		];
		globalThis.addEventListener?.("pagehide", this.#onPageHide);
		if (client.state === "live") this.#onWelcome(false);
	}
	/** Ends the messenger; the client stays. */
	close() {
		globalThis.removeEventListener?.("pagehide", this.#onPageHide);
		this.#reads.close();
		this.drafts.close();
		for (const stop of this.#listeners) stop();
		this.directory.close();
		this.#open.close();
		this.client.unsubscribe([...this.#channels, ...this.#user ? [`users/${this.#user}`] : []]);
	}
	/** Those that are not archived: pinned ones first, then those with the latest change. */
	get conversations() {
		return this.list.all;
	}
	/** How many messages are unread in conversations that are not muted. */
	get unread() {
		return this.list.unread();
	}
	/** The archived ones that are loaded, in the same order; see `loadArchived`. */
	get archived() {
		return this.list.archived;
	}
	get hasMoreArchived() {
		return this.directory.hasMoreArchived;
	}
	get hasMoreConversations() {
		return this.directory.hasMore;
	}
	conversation(conversationId) {
		return this.list.get(conversationId);
	}
	/** Reads the list again. It is read by itself for each session that may have missed something. */
	loadConversations() {
		return this.directory.load();
	}
	/** Reads the first archived conversations, or more of them. */
	loadArchived() {
		return this.directory.loadArchived();
	}
	loadMoreConversations() {
		return this.directory.loadMore();
	}
	/** Keeps the messages, members and receipts of a conversation until `stop()`, which it returns. */
	open(conversationId) {
		return this.#open.open(conversationId);
	}
	timeline(conversationId) {
		return this.#open.timeline(conversationId);
	}
	loadOlder(conversationId, size = 50) {
		return this.#open.get(conversationId)?.loadOlder(size) ?? Promise.resolve();
	}
	members(conversationId) {
		return this.#open.get(conversationId)?.members ?? [];
	}
	/** Up to which message the other members have received and read. */
	receipts(conversationId) {
		return this.#open.get(conversationId)?.positions.all ?? [];
	}
	/** The pinned messages of an open conversation, the latest pin first. */
	pins(conversationId) {
		return this.#open.get(conversationId)?.pins.all ?? [];
	}
	/** The user has read up to a message, by default the last one. `private`: the other members do not see it. */
	markRead(conversationId, message, { private: isPrivate = false } = {}) {
		const known = this.list.get(conversationId);
		const last = message ?? known?.lastMessage;
		if (!known || !last?.messageId || last.messageSeq <= known.readSeq && !known.markedUnread) return;
		this.list.read(conversationId, last.messageSeq, this.#open.countAfter(conversationId, last.messageSeq));
		this.#soon("conversations");
		this.#reads.mark(conversationId, {
			messageId: last.messageId,
			messageSeq: last.messageSeq,
			isPrivate
		});
	}
	onListChanged() {
		this.#soon("conversations");
	}
	#onPageHide = () => {
		this.#reads.flush();
		this.drafts.flush();
	};
	#laneOf(conversationId) {
		const peer = this.list.get(conversationId)?.peerId;
		return peer ? `user:${peer}` : conversationId;
	}
	#onWelcome(complete) {
		const isFirst = this.#user === "";
		this.#user = this.client.user;
		if (isFirst) {
			if (this.#storage) {
				this.#outbox.restore(this.#storage, this.#user);
				this.drafts.restore(this.#storage, this.#user);
			}
			this.client.subscribe([`users/${this.#user}`]);
		}
		this.#mustLoad ||= !complete;
		if (!complete) this.#backlog.begin();
		else this.directory.load().catch(() => this.#mustLoad = true);
		this.outgoing.start();
	}
	#onSubscribed(topics) {
		for (const topic of topics) {
			if (!this.#channels.has(topic)) continue;
			const conversationId = topic.slice(14);
			this.#open.get(conversationId)?.catchUp();
			this.directory.readLater(conversationId);
		}
		if (!this.#mustLoad || !topics.includes(`users/${this.#user}`)) return;
		this.#mustLoad = false;
		this.directory.load().then(() => this.#backlog.onListLoaded(), () => this.#mustLoad = true);
		this.#open.catchUp();
	}
	#onPush(frame, isBacklog) {
		const conversationId = conversationIdOf(frame);
		for (const receipt of pushedReceipts(frame)) if (receipt.userId !== this.#user) this.#open.get(conversationId)?.pushReceipt(receipt);
		if (frame.type === "messages_expired") this.#hideBefore(conversationId, visibleFromOf(frame));
		const membership = pushedMembership(frame);
		if (membership) this.#onMembership(conversationId, membership);
		const draft = pushedDraft(frame);
		if (draft) this.drafts.push(conversationId, draft);
		const change = pushedChange(frame);
		if (!change || !conversationId) return;
		const isNew = change.messageSeq > (this.#pushed.get(conversationId) ?? 0);
		if (isNew) this.#pushed.set(conversationId, change.messageSeq);
		const result = this.list.push(conversationId, change, membersOf(frame));
		if (result === "stale" && isBacklog) this.#backlog.add(conversationId, change);
		else if (result === "stale") this.directory.readLater(conversationId);
		this.#open.get(conversationId)?.push(change);
		if (result !== "known") this.#soon("conversations");
		const { message } = change;
		if (frame.type !== "new_message" || !message || !isNew || isBacklog || message.senderId === this.#user) return;
		this.emit("message", { message: this.#open.shown(message) });
	}
	#hideBefore(conversationId, visibleFromSeq) {
		if (this.list.hideBefore(conversationId, visibleFromSeq) === "stale") this.directory.readLater(conversationId);
		this.#open.get(conversationId)?.hideBefore(visibleFromSeq);
		this.#soon("conversations");
	}
	#onMembership(conversationId, membership) {
		if ((this.isSetting(conversationId) ? "stale" : this.list.pushMembership(conversationId, membership)) === "stale") this.directory.readLater(conversationId);
		this.#soon("conversations");
	}
	#onLoaded(loaded) {
		this.#soon("conversations");
		for (const { conversationId } of loaded) this.drafts.onLoaded(conversationId);
		for (const { conversationId, type, lastMessageSeq, visibleFromSeq, role } of loaded) {
			this.#open.get(conversationId)?.hideBefore(visibleFromSeq);
			this.#open.get(conversationId)?.expect(lastMessageSeq);
			const isMember = role !== "ROLE_UNSPECIFIED";
			const isChannel = type === "CONVERSATION_TYPE_CHANNEL";
			const topic = CONVERSATIONS + conversationId;
			if (!isMember || !isChannel || this.#channels.has(topic)) continue;
			this.#channels.add(topic);
			this.client.subscribe([topic]);
		}
	}
	#onAccepted(conversationId, messageSeq) {
		this.#open.get(conversationId)?.expect(messageSeq);
		if ((this.list.get(conversationId)?.lastMessageSeq ?? 0) < messageSeq) this.directory.readLater(conversationId, 1e3);
	}
	#soon(type, conversationId = "") {
		const emit = () => type === "conversations" ? this.emit(type, {}) : this.emit(type, { conversationId });
		this.#changed.soon(`${type} ${conversationId}`, emit);
	}
};
export { Client, Messenger, PlauditError, backoffDelay, connect, getPreferences, logOutOtherDevices, tabDeviceId, updatePreferences, uuid7 };
