// What this user has sent and changed, and the server has not yet accepted: in order, and kept in a storage. Pure but for that.

import { PlauditError } from "../errors.ts";

const PREFIX = "plaudit.queue.";

/** What `localStorage` offers of it. */
export type QueueStorage = Pick<Storage, "getItem" | "setItem" | "removeItem" | "key" | "length">;

/** What the server answered: of a message its id and place, of an edit or deletion the number of the change. */
export interface Accepted {
  readonly messageId: string;
  readonly messageSeq: number;
  readonly timestamp: number;
  readonly ordinal: number;
}

export interface OutboxEntry {
  /** The `client_msg_id` of a message, the `op_id` of a change: the same for all attempts. */
  readonly id: string;
  /** Later entries have a larger one. */
  readonly order: string;
  readonly action: "send" | "edit" | "delete";
  /** Entries of one lane are sent one after the other. */
  readonly lane: string;
  /** Empty for a message to a user until the server has named the conversation. */
  readonly conversationId: string;
  readonly recipientId: string;
  /** The message to edit or delete: its id, or the `client_msg_id` of one that is not sent yet. */
  readonly target: string;
  readonly content: string;
  readonly contentType: string;
  readonly replyTo: string;
  readonly mentions: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** The id of the message whose content is sent; `content` is what is shown of it. Absent: the user wrote it. */
  readonly forwardOf?: string;
  /** How often the content was forwarded with this message. */
  readonly forwardCount?: number;
  /** Whether the message ends the draft of the conversation. */
  readonly clearDraft?: boolean;
  readonly timestamp: number;
  readonly state: "queued" | "failed" | "accepted";
  readonly error?: PlauditError;
  readonly accepted?: Accepted;
}

export class Outbox {
  readonly #entries = new Map<string, OutboxEntry>();
  #storage: QueueStorage | undefined;
  #prefix = PREFIX;

  /** Keeps all entries in the storage, those of `user`, and adds what an earlier page has left there. */
  restore(storage: QueueStorage, user: string): void {
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

  get(id: string): OutboxEntry | undefined {
    return this.#entries.get(id);
  }

  /** Adds an entry, or replaces the one with its id. */
  set(entry: OutboxEntry): void {
    this.#entries.set(entry.id, entry);
    this.#save(entry);
  }

  remove(id: string): void {
    this.#entries.delete(id);
    this.#storage?.removeItem(this.#prefix + id);
  }

  /** The entries of a conversation, in order. */
  of(conversationId: string): OutboxEntry[] {
    return this.#sorted().filter((entry) => entry.conversationId === conversationId);
  }

  /** The entries of a lane, in order. */
  inLane(lane: string): OutboxEntry[] {
    return this.#sorted().filter((entry) => entry.lane === lane);
  }

  /** The entry of a lane that is to be sent next. */
  head(lane: string): OutboxEntry | undefined {
    return this.inLane(lane).find(({ state }) => state === "queued");
  }

  /** The lanes with entries to send. */
  lanes(): string[] {
    const queued = this.#sorted().filter(({ state }) => state === "queued");
    return [...new Set(queued.map(({ lane }) => lane))];
  }

  #sorted(): OutboxEntry[] {
    return [...this.#entries.values()].sort((one, other) => (one.order < other.order ? -1 : 1));
  }

  #save(entry: OutboxEntry): void {
    const key = this.#prefix + entry.id;
    if (entry.state === "accepted") {
      this.#storage?.removeItem(key);
      return;
    }
    try {
      this.#storage?.setItem(key, JSON.stringify({ ...entry, error: entry.error && { ...entry.error, message: entry.error.message } }));
    } catch (error) {
      console.warn("plaudit: a message is not kept over a reload:", error); // the storage is full
    }
  }
}

function read(text: string | null): OutboxEntry | null {
  try {
    const entry = JSON.parse(text ?? "") as OutboxEntry;
    if (!entry.id || !entry.order || !entry.lane || !["queued", "failed"].includes(entry.state)) return null;
    return entry.error ? { ...entry, error: new PlauditError(entry.error) } : entry;
  } catch {
    return null;
  }
}
