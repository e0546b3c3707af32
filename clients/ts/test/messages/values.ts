// Values for tests of conversations.

import type { Change, Conversation, StoredMessage } from "../../src/messages/types.ts";
import { sentChange } from "../../src/messages/wire.ts";

export const message = (messageSeq: number, fields: Partial<StoredMessage> = {}): StoredMessage => ({
  messageId: `m${messageSeq}`, conversationId: "c1", senderId: "bob", content: `text ${messageSeq}`, contentType: "text",
  timestamp: 1_700_000_000_000 + messageSeq, messageSeq, ordinal: messageSeq, clientMsgId: `of-${messageSeq}`, replyTo: "", mentions: [],
  metadata: {}, editTime: "", deleteTime: "", deletedBy: "DELETED_BY_UNSPECIFIED", forwardCount: 0, ...fields,
});

export const sent = (messageSeq: number, fields: Partial<StoredMessage> = {}): Change => sentChange(message(messageSeq, fields));

export const change = (messageSeq: number, type: string, fields: Partial<Change> = {}): Change => ({
  messageSeq, type: `CHANGE_TYPE_${type}`, actorId: "bob", timestamp: 1_700_000_000_000 + messageSeq, message: undefined, userIds: [],
  role: "ROLE_UNSPECIFIED", name: "", avatarUrl: "", retentionSeconds: 0, ...fields,
});

/** A pushed edit or deletion: of the message it has only what was changed. */
export const partial = (messageSeq: number, fields: Partial<StoredMessage>): StoredMessage => message(messageSeq, {
  senderId: "", contentType: "", timestamp: 0, ordinal: 0, clientMsgId: "", content: "", ...fields,
});

export const conversation = (conversationId: string, fields: Partial<Conversation> = {}): Conversation => ({
  conversationId, type: "CONVERSATION_TYPE_GROUP", name: "Team", avatarUrl: "", creatorId: "bob", createTime: "2026-01-01T00:00:00Z",
  updateTime: "2026-01-01T00:00:00Z", lastMessageSeq: 10, memberCount: 2, membersEpoch: 1, peerId: "", unreadCount: 0, retentionSeconds: 0, visibleFromSeq: 0, draft: "",
  role: "ROLE_MEMBER", readSeq: 10, muteUntilMs: 0, pinned: false, archived: false, markedUnread: false, ...fields,
});

/** A storage like `localStorage`. */
export class MemoryStorage {
  readonly #values = new Map<string, string>();
  get length(): number {
    return this.#values.size;
  }
  key = (index: number): string | null => [...this.#values.keys()][index] ?? null;
  getItem = (key: string): string | null => this.#values.get(key) ?? null;
  setItem = (key: string, value: string): void => void this.#values.set(key, value);
  removeItem = (key: string): void => void this.#values.delete(key);
}
