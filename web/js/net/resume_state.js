// What a client must know to resume its session on another socket. Pure: no I/O.

const MAX_RESUME_BYTES = 3_000; // before a session exists, a message has at most 4 KiB
const POSITION_BYTES = 48;
const USER_TOPIC = "users/";

export class ResumeState {
  #session = "";
  #token = "";
  #seq = 0n;
  #versions = new Map();
  #requested = [];

  /** The last numbered push before which none is missing. */
  get seq() {
    return this.#seq;
  }

  /** The fields of `resume` for these topics, the user's own topic first; null where there is no session to resume. */
  request(topics) {
    if (!this.#token) return null;
    let bytesLeft = MAX_RESUME_BYTES;
    const isOwn = (topic) => Number(topic.startsWith(USER_TOPIC));
    const sorted = [...topics].sort((one, other) => isOwn(other) - isOwn(one));
    this.#requested = sorted.filter((topic) => (bytesLeft -= topic.length + POSITION_BYTES) >= 0);
    const positions = this.#requested.map((topic) => ({ topic, version: String(this.#versions.get(topic) ?? 0n) }));
    return { session: this.#session, resume_token: this.#token, seq: String(this.#seq), topics: positions };
  }

  /** Handles `welcome` and `resumed`. Returns the topics that the session is already subscribed to. */
  onOpened({ session, resume_token: token = "", verdict = "", seq = 0 }) {
    this.#session = session;
    this.#token = token;
    this.#seq = BigInt(seq);
    const requested = this.#requested;
    this.#requested = [];
    return verdict && verdict !== "reset" ? requested : [];
  }

  /** The server refuses to resume: the next session is a new one. */
  reset() {
    this.#token = "";
  }

  /** Handles a push. Returns false where one before it is missing. */
  onPush({ type, topic, version, seq = 0 }) {
    const number = BigInt(seq);
    if (type === "reaction_update") this.#versions.set(topic, max(this.#versions.get(topic) ?? 0n, BigInt(version)));
    if (number > this.#seq + 1n) return false;
    this.#seq = max(this.#seq, number);
    return true;
  }

  /** Handles a pong. Returns false where a push that was sent before it is missing. */
  onPong({ seq = 0, resume_token: token }) {
    this.#token = token || this.#token;
    return BigInt(seq) <= this.#seq;
  }
}

const max = (one, other) => (one > other ? one : other);
