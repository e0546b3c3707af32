// The loaded part of a conversation: its changes in the order of their numbers, each applied once. Pure: no I/O.

import type { Change, ConversationEvent, StoredMessage } from "./types.ts";
import { DELETED, EDITED, SENT } from "./wire.ts";

export type Entry = StoredMessage | ConversationEvent;

export class ChangesLog {
  readonly #conversationId: string;
  #appliedSeq: number;
  #visibleFromSeq = 0;
  readonly #entries = new Map<number, Entry>(); // by message_seq
  readonly #sequences = new Map<string, number>(); // of messages by their id
  readonly #ahead = new Map<number, Change>();
  #sorted: Entry[] | null = [];

  /** `appliedSeq`: all changes up to this number are in what will be `prepend`ed. */
  constructor(conversationId: string, appliedSeq: number) {
    this.#conversationId = conversationId;
    this.#appliedSeq = appliedSeq;
  }

  /** All changes up to this number are applied. */
  get appliedSeq(): number {
    return this.#appliedSeq;
  }

  /** Whether changes wait for an earlier one that is missing. */
  get hasGap(): boolean {
    return this.#ahead.size > 0;
  }

  /** Messages and events in order; the same array until something changes. */
  get entries(): readonly Entry[] {
    return (this.#sorted ??= [...this.#entries.values()].sort((one, other) => one.messageSeq - other.messageSeq));
  }

  message(messageId: string): StoredMessage | undefined {
    const seq = this.#sequences.get(messageId);
    return seq === undefined ? undefined : (this.#entries.get(seq) as StoredMessage);
  }

  /** Applies a change, and those that waited for it. One that is applied already changes nothing; one after a gap waits. */
  push(change: Change): void {
    if (change.messageSeq <= this.#appliedSeq) return;
    this.#ahead.set(change.messageSeq, change);
    this.#applyNext();
  }

  /** Applies the answer of `list_changes` after `appliedSeq`: numbers that it leaves out are not for this user. */
  fill(changes: readonly Change[], lastSeq: number): void {
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
  hideBefore(visibleFromSeq: number): void {
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
  prepend(messages: readonly StoredMessage[]): void {
    for (const message of messages) this.#setMessage(message);
  }

  /** Adds older events. */
  prependEvents(changes: readonly Change[]): void {
    for (const change of changes) if (!isOfMessage(change)) this.#setEvent(change);
  }

  #applyNext(): void {
    for (let next = this.#ahead.get(this.#appliedSeq + 1); next; next = this.#ahead.get(this.#appliedSeq + 1)) {
      this.#ahead.delete(next.messageSeq);
      this.#apply(next);
      this.#appliedSeq = next.messageSeq;
    }
  }

  #apply(change: Change): void {
    if (!isOfMessage(change)) return this.#setEvent(change);
    if (!change.message) return;
    const known = this.message(change.message.messageId);
    if (change.type === SENT) this.#setMessage(change.message);
    // An edit of a message that is not loaded shows when its page is.
    else if (known) this.#setMessage(merged(known, change.message));
  }

  // Another answer may have brought a later state of the message already.
  #setMessage(message: StoredMessage): void {
    if (message.messageSeq < this.#visibleFromSeq) return;
    const known = this.message(message.messageId);
    if (known && isNewer(known, message)) return;
    this.#entries.set(message.messageSeq, message);
    this.#sequences.set(message.messageId, message.messageSeq);
    this.#sorted = null;
  }

  #setEvent({ message: _, ...change }: Change): void {
    if (change.messageSeq < this.#visibleFromSeq || this.#entries.has(change.messageSeq)) return;
    const key = `${this.#conversationId}:${change.messageSeq}`;
    this.#entries.set(change.messageSeq, { ...change, kind: "event", key, conversationId: this.#conversationId });
    this.#sorted = null;
  }
}

/** A message after an edit or deletion, of which a push brings only what it has changed. */
export function merged(known: StoredMessage, { content, mentions, metadata, ...change }: StoredMessage): StoredMessage {
  const editTime = change.editTime || known.editTime;
  if (!change.deleteTime) return { ...known, content, mentions, metadata, editTime };
  return { ...known, content, mentions, metadata, editTime, deleteTime: change.deleteTime, deletedBy: change.deletedBy };
}

export const isEvent = (entry: Entry): entry is ConversationEvent => "kind" in entry;

const isOfMessage = ({ type }: Change): boolean => type === SENT || type === EDITED || type === DELETED;

// A deletion is final. ISO times with a zone Z and one precision compare as texts, but precisions differ.
function isNewer(one: StoredMessage, other: StoredMessage): boolean {
  if (one.deleteTime || other.deleteTime) return !other.deleteTime;
  return time(one.editTime) > time(other.editTime);
}

const time = (iso: string): number => (iso ? Date.parse(iso) : 0);
