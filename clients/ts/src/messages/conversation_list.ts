// The conversations of the user, with what is unread. Pure: no I/O.

import { merged } from "./changes_log.ts";
import type { Change, Conversation, Membership } from "./types.ts";
import { DELETED, EDITED, SENT } from "./wire.ts";

/** What a pushed change means for the list: `stale`: the conversation must be read again. */
export type PushResult = "applied" | "known" | "stale";

export class ConversationList {
  readonly #all = new Map<string, Conversation>();
  #sorted: readonly Conversation[] | null = [];
  #archived: readonly Conversation[] = [];
  readonly #user: () => string;

  /** `user()`: the id of the user whose list it is. */
  constructor(user: () => string) {
    this.#user = user;
  }

  /** Those that are not archived: pinned ones first, then those with the latest change; the same array until something changes. */
  get all(): readonly Conversation[] {
    if (!this.#sorted) this.#sort();
    return this.#sorted!;
  }

  /** The archived ones that are loaded, in the same order. */
  get archived(): readonly Conversation[] {
    if (!this.#sorted) this.#sort();
    return this.#archived;
  }

  /** How many messages are unread in conversations that are not muted. */
  unread(now = Date.now()): number {
    return this.all.reduce((sum, { muteUntilMs, unreadCount }) => sum + (muteUntilMs > now ? 0 : unreadCount), 0);
  }

  get(conversationId: string): Conversation | undefined {
    return this.#all.get(conversationId);
  }

  withPeer(userId: string): Conversation | undefined {
    return [...this.#all.values()].find(({ peerId }) => peerId === userId);
  }

  /** A conversation as the server has it; one that is older than what pushes brought is not used: false. */
  load(loaded: Conversation): boolean {
    const known = this.#all.get(loaded.conversationId);
    if (known && known.lastMessageSeq > loaded.lastMessageSeq) return false;
    // The user has read further here, and the server does not know it yet.
    const isRead = known !== undefined && known.readSeq > loaded.readSeq;
    const unreadCount = !isRead ? loaded.unreadCount : known.readSeq >= loaded.lastMessageSeq ? 0 : Math.min(known.unreadCount, loaded.unreadCount);
    this.#set({ ...loaded, unreadCount, readSeq: Math.max(known?.readSeq ?? 0, loaded.readSeq) });
    return true;
  }

  /** What the conversation is for the user was changed, here or on another device. `stale`: how much is unread is not known. */
  pushMembership(conversationId: string, membership: Membership): PushResult {
    const known = this.#all.get(conversationId);
    if (known === undefined) return "stale";
    const isReadFurther = membership.readSeq > known.readSeq;
    const isAllRead = membership.readSeq >= known.lastMessageSeq;
    const unreadCount = isReadFurther && isAllRead ? 0 : known.unreadCount;
    this.#set({ ...known, ...membership, readSeq: Math.max(known.readSeq, membership.readSeq), unreadCount });
    return isReadFurther && !isAllRead ? "stale" : "applied";
  }

  /** Messages with a smaller number have disappeared. `stale`: how much is unread is not known. */
  hideBefore(conversationId: string, visibleFromSeq: number): PushResult {
    const known = this.#all.get(conversationId);
    if (known === undefined) return "stale";
    if (visibleFromSeq <= known.visibleFromSeq) return "known";
    const isEmpty = (known.lastMessage?.messageSeq ?? 0) < visibleFromSeq;
    const { lastMessage, ...rest } = known;
    this.#set({ ...rest, ...(isEmpty || !lastMessage ? { unreadCount: 0 } : { lastMessage }), visibleFromSeq });
    return !isEmpty && known.unreadCount && visibleFromSeq > known.readSeq + 1 ? "stale" : "applied";
  }

  /** Changes what this user has set. */
  patch(conversationId: string, fields: Partial<Conversation>): void {
    const known = this.#all.get(conversationId);
    if (known) this.#set({ ...known, ...fields });
  }

  /** The user has read up to a message, of which all but `left` later ones are read. */
  read(conversationId: string, messageSeq: number, left: number): void {
    const known = this.#all.get(conversationId);
    if (!known) return;
    const isFurther = messageSeq > known.readSeq;
    this.#set({ ...known, markedUnread: false, ...(isFurther ? { readSeq: messageSeq, unreadCount: left } : {}) });
  }

  /** Applies a pushed change; `members`: how many there are after it, and their epoch. */
  push(conversationId: string, change: Change, members?: { memberCount: number; membersEpoch: number }): PushResult {
    const known = this.#all.get(conversationId);
    if (known === undefined) return "stale";
    if (change.messageSeq <= known.lastMessageSeq) return "known";
    if (change.messageSeq > known.lastMessageSeq + 1) return "stale";
    const updateTime = change.timestamp ? new Date(change.timestamp).toISOString() : known.updateTime;
    const next = { ...known, lastMessageSeq: change.messageSeq, updateTime, ...members };
    this.#set({ ...next, ...this.#effect(known, change) });
    return change.type === "CHANGE_TYPE_CONVERSATION_UPDATED" ? "stale" : "applied";
  }

  remove(conversationId: string): void {
    this.#all.delete(conversationId);
    this.#sorted = null;
  }

  #effect(known: Conversation, { type, message, messageSeq, userIds, role, retentionSeconds }: Change): Partial<Conversation> {
    const user = this.#user();
    if (type === SENT && message) {
      const archived = known.archived && known.muteUntilMs > message.timestamp;
      // Sending moves the sender's own position.
      if (message.senderId === user) return { lastMessage: message, unreadCount: 0, readSeq: messageSeq, archived, markedUnread: false };
      return { lastMessage: message, unreadCount: known.unreadCount + 1, archived };
    }
    if ((type === EDITED || type === DELETED) && message) {
      const last = known.lastMessage;
      // What follows the read position is of others, since sending moves it.
      const wasUnread = type === DELETED && message.messageSeq > known.readSeq;
      return {
        ...(last?.messageId === message.messageId ? { lastMessage: merged(last, message) } : {}),
        unreadCount: Math.max(0, known.unreadCount - Number(wasUnread)),
      };
    }
    if (type === "CHANGE_TYPE_RETENTION_CHANGED") return { retentionSeconds };
    if (type === "CHANGE_TYPE_CONVERTED_TO_CHANNEL") return { type: "CONVERSATION_TYPE_CHANNEL" };
    if (!userIds.includes(user)) return {};
    if (type === "CHANGE_TYPE_ROLE_CHANGED") return { role };
    if (type === "CHANGE_TYPE_MEMBERS_ADDED") return { role: "ROLE_MEMBER" };
    return type === "CHANGE_TYPE_MEMBER_REMOVED" || type === "CHANGE_TYPE_MEMBER_LEFT" ? { role: "ROLE_UNSPECIFIED" } : {};
  }

  #sort(): void {
    const sorted = [...this.#all.values()].sort(compare);
    this.#sorted = sorted.filter(({ archived }) => !archived);
    this.#archived = sorted.filter(({ archived }) => archived);
  }

  #set(conversation: Conversation): void {
    this.#all.set(conversation.conversationId, conversation);
    this.#sorted = null;
  }
}

function compare(one: Conversation, other: Conversation): number {
  if (one.pinned !== other.pinned) return one.pinned ? -1 : 1;
  return Date.parse(other.updateTime) - Date.parse(one.updateTime) || (one.conversationId < other.conversationId ? -1 : 1);
}
