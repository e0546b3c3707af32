// What a timeline shows: stored messages with the changes of the outbox over them. Pure: no I/O.

import type { ChangesLog, Entry } from "./changes_log.ts";
import { isEvent } from "./changes_log.ts";
import type { OutboxEntry } from "./outbox.ts";
import type { Item, Message, Status, StoredMessage } from "./types.ts";

export interface Shown {
  readonly entries: readonly Entry[];
  readonly outbox: readonly OutboxEntry[];
  readonly user: string;
  /** Up to which message all others have received and read. */
  readonly deliveredSeq: number;
  readonly readSeq: number;
}

interface Cached {
  inputs: readonly unknown[];
  message: Message;
}

/** Makes items; an item is another object only where something of it has changed. */
export class TimelineView {
  #cache = new Map<string, Cached>();

  items({ entries, outbox, user, deliveredSeq, readSeq }: Shown): Item[] {
    const cache = new Map<string, Cached>();
    const changes = new Map<string, OutboxEntry>();
    for (const entry of outbox) if (entry.action !== "send" && entry.state !== "failed") changes.set(entry.target, entry);
    const make = (key: string, inputs: readonly unknown[], build: () => Message): Message => {
      const known = this.#cache.get(key);
      const message = known && isSame(known.inputs, inputs) ? known.message : build();
      cache.set(key, { inputs, message });
      return message;
    };
    const shown = new Set<string>();
    const items: Item[] = entries.map((entry) => {
      if (isEvent(entry)) return entry;
      const key = keyOf(entry, user);
      const status = statusOf(entry, user, deliveredSeq, readSeq);
      const change = changes.get(entry.messageId);
      shown.add(key);
      return make(key, [entry, status, change], () => stored(entry, key, user, status, change));
    });
    for (const entry of outbox) {
      if (entry.action !== "send" || shown.has(entry.id)) continue;
      const change = changes.get(entry.id) ?? changes.get(entry.accepted?.messageId ?? "");
      items.push(make(entry.id, [entry, change, user], () => queued(entry, user, change)));
    }
    this.#cache = cache;
    return items;
  }
}

/** A stored message as it is shown, without changes that are not accepted. */
export const shownMessage = (entry: StoredMessage, user: string): Message => stored(entry, keyOf(entry, user), user, "sent", undefined);

/** The ids of the accepted entries that the log shows by itself; without a log all accepted ones. */
export function settled(outbox: readonly OutboxEntry[], log: ChangesLog | undefined): string[] {
  return outbox
    .filter(({ accepted }) => accepted && (log === undefined || accepted.messageSeq <= log.appliedSeq))
    .map(({ id }) => id);
}

const keyOf = (message: StoredMessage, user: string): string =>
  message.senderId === user && message.clientMsgId ? message.clientMsgId : message.messageId;

function statusOf({ senderId, messageSeq }: StoredMessage, user: string, deliveredSeq: number, readSeq: number): Status {
  if (senderId !== user || messageSeq > deliveredSeq) return "sent";
  return messageSeq > readSeq ? "delivered" : "read";
}

function stored(entry: StoredMessage, key: string, user: string, status: Status, change: OutboxEntry | undefined): Message {
  const { editTime, deleteTime, ...fields } = entry;
  const message = {
    ...fields, kind: "message" as const, key, own: entry.senderId === user, edited: editTime !== "", deleted: deleteTime !== "", status,
  };
  return withChange(message, change);
}

function queued(entry: OutboxEntry, user: string, change: OutboxEntry | undefined): Message {
  const { id, conversationId, content, contentType, replyTo, mentions, metadata, accepted, state, error, forwardCount = 0 } = entry;
  const status: Status = state === "queued" ? "pending" : state === "failed" ? "failed" : "sent";
  const message: Message = {
    kind: "message", key: id, conversationId, messageId: accepted?.messageId ?? "", clientMsgId: id, senderId: user, own: true, content,
    contentType, timestamp: accepted?.timestamp ?? entry.timestamp, messageSeq: accepted?.messageSeq ?? 0, ordinal: accepted?.ordinal ?? 0,
    replyTo, mentions, metadata, edited: false, deleted: false, deletedBy: "DELETED_BY_UNSPECIFIED",
    forwardCount, status, ...(error ? { error } : {}),
  };
  return withChange(message, change);
}

function withChange(message: Message, change: OutboxEntry | undefined): Message {
  if (change === undefined || message.deleted) return message;
  if (change.action === "delete") return { ...message, content: "", deleted: true, deletedBy: message.own ? "DELETED_BY_SENDER" : "DELETED_BY_ADMIN", change: "delete" };
  return { ...message, content: change.content, mentions: change.mentions, edited: true, change: "edit" };
}

const isSame = (one: readonly unknown[], other: readonly unknown[]): boolean => one.every((value, index) => value === other[index]);
