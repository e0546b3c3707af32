// What is needed to go on with a session over another socket: pure, no I/O.

const ROOM = 3_000; // before there is a session, messages have at most 4 KiB
const POSITION = 48;
const OWN = "users/";

export class Continuity {
  #session = "";
  #token = "";
  #seq = 0n;
  #versions = new Map();
  #asked = [];

  /** All numbered pushes up to this have come. */
  get seq() {
    return this.#seq;
  }

  /** The fields of `resume` for these topics, our own first; null where there is no session to go on with. */
  ask(topics) {
    if (!this.#token) return null;
    let room = ROOM;
    const own = (topic) => Number(topic.startsWith(OWN));
    const sorted = [...topics].sort((one, other) => own(other) - own(one));
    this.#asked = sorted.filter((topic) => (room -= topic.length + POSITION) >= 0);
    const positions = this.#asked.map((topic) => ({ topic, version: String(this.#versions.get(topic) ?? 0n) }));
    return { session: this.#session, resume_token: this.#token, seq: String(this.#seq), topics: positions };
  }

  /** A session is open; returns the topics that it has already. */
  opened({ session, resume_token: token = "", verdict = "", seq = 0 }) {
    this.#session = session;
    this.#token = token;
    this.#seq = BigInt(seq);
    const asked = this.#asked;
    this.#asked = [];
    return verdict && verdict !== "reset" ? asked : [];
  }

  /** The server does not take what we have: the next session is a new one. */
  forget() {
    this.#token = "";
  }

  /** A push has come; false where one before it is missing. */
  pushed({ type, topic, version, seq = 0 }) {
    const number = BigInt(seq);
    if (type === "reaction_update") this.#versions.set(topic, max(this.#versions.get(topic) ?? 0n, BigInt(version)));
    if (number > this.#seq + 1n) return false;
    this.#seq = max(this.#seq, number);
    return true;
  }

  /** A pong has come; false where something that was sent before it is missing. */
  ponged({ seq = 0, resume_token: token }) {
    this.#token = token || this.#token;
    return BigInt(seq) <= this.#seq;
  }
}

const max = (one, other) => (one > other ? one : other);
