// What a client must know to resume its session on another socket. Pure: no I/O.

import type { Fields, Frame } from "./codec.ts";

const MAX_RESUME_BYTES = 3_000; // before a session exists, a message has at most 4 KiB
const MAX_TOPICS = 128;
const POSITION_BYTES = 48;
const USER_TOPIC = "users/";

export class ResumeState {
  #session = "";
  #token = "";
  #seq = 0n;
  readonly #versions = new Map<string, bigint>();
  #requested: string[] = [];

  /** The last numbered push before which none is missing. */
  get seq(): bigint {
    return this.#seq;
  }

  get session(): string {
    return this.#session;
  }

  /** The fields of `resume` for these topics, the user's own topic first; null where there is no session to resume. */
  request(topics: Iterable<string>): Fields | null {
    if (!this.#token) return null;
    let bytesLeft = MAX_RESUME_BYTES;
    const isOwn = (topic: string) => Number(topic.startsWith(USER_TOPIC));
    const sorted = [...topics].sort((one, other) => isOwn(other) - isOwn(one)).slice(0, MAX_TOPICS);
    this.#requested = sorted.filter((topic) => (bytesLeft -= topic.length + POSITION_BYTES) >= 0);
    const positions = this.#requested.map((topic) => ({ topic, version: String(this.#versions.get(topic) ?? 0n) }));
    return { session: this.#session, resume_token: this.#token, seq: String(this.#seq), topics: positions };
  }

  /** Handles `welcome` and `resumed`. Returns the topics that the session is already subscribed to. */
  onOpened({ session, resume_token: token, verdict, seq }: Frame): string[] {
    this.#session = String(session ?? "");
    this.#token = String(token ?? "");
    this.#seq = BigInt(seq ?? 0);
    const requested = this.#requested;
    this.#requested = [];
    return verdict && verdict !== "reset" ? requested : [];
  }

  /** The server refuses to resume: the next session is a new one. */
  reset(): void {
    this.#token = "";
    this.#requested = [];
  }

  /** Handles a push. Returns false where one before it is missing. */
  onPush({ type, topic = "", target, version, seq }: Frame): boolean {
    const number = BigInt(seq ?? 0);
    // A topic with the updates of several targets has no version of its own.
    const isState = type === "reaction_update" && (target ?? topic) === topic;
    if (isState) this.#versions.set(topic, max(this.#versions.get(topic) ?? 0n, BigInt(version as string)));
    if (number > this.#seq + 1n) return false;
    this.#seq = max(this.#seq, number);
    return true;
  }

  /** Handles a pong. Returns false where a push that was sent before it is missing. */
  onPong({ seq, resume_token: token }: Frame): boolean {
    this.#token = String(token || this.#token);
    return BigInt(seq ?? 0) <= this.#seq;
  }
}

/** Whether messages of a backlog follow a `welcome` or `resumed`, where one was asked for. */
export function hasBacklog({ type, verdict, reload, user }: Frame): boolean {
  if (type === "welcome" || verdict === "reset") return true;
  return verdict === "partial" && ((reload as string[] | undefined) ?? []).includes(`${USER_TOPIC}${String(user)}`);
}

const max = (one: bigint, other: bigint): bigint => (one > other ? one : other);
