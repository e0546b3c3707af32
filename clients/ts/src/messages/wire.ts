// Frames to values: the only file that knows the field names of messages and conversations.

import type { Fields, Frame } from "../connection/codec.ts";
import type { Accepted } from "./outbox.ts";
import type { Change, Conversation, ConversationType, DeletedBy, Member, Membership, PinnedMessage, Receipt, Role, StoredMessage } from "./types.ts";

export const SENT = "CHANGE_TYPE_MESSAGE_SENT";
export const EDITED = "CHANGE_TYPE_MESSAGE_EDITED";
export const DELETED = "CHANGE_TYPE_MESSAGE_DELETED";
const PINNED = "CHANGE_TYPE_MESSAGE_PINNED";
const UNPINNED = "CHANGE_TYPE_MESSAGE_UNPINNED";

/** Whether a change may make the pinned messages other ones. */
export const changesPins = ({ type }: Change): boolean => [EDITED, DELETED, PINNED, UNPINNED].includes(type);

const text = (value: unknown): string => String(value ?? "");
const number = (value: unknown): number => Number(value ?? 0);
const list = (value: unknown): Fields[] => (value as Fields[] | undefined) ?? [];
const texts = (value: unknown): string[] => (value as string[] | undefined) ?? [];

export function message(fields: Fields): StoredMessage {
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
    metadata: (fields.metadata as Record<string, string> | undefined) ?? {},
    editTime: text(fields.edit_time),
    deleteTime: text(fields.delete_time),
    deletedBy: text(fields.deleted_by || "DELETED_BY_UNSPECIFIED") as DeletedBy,
    forwardCount: number(fields.forward_count),
  };
}

export function change(fields: Fields): Change {
  return {
    messageSeq: number(fields.message_seq),
    type: text(fields.type),
    actorId: text(fields.actor_id),
    timestamp: number(fields.timestamp),
    message: fields.message ? message(fields.message as Fields) : undefined,
    userIds: texts(fields.user_ids),
    role: text(fields.role || "ROLE_UNSPECIFIED") as Role,
    name: text(fields.name),
    avatarUrl: text(fields.avatar_url),
    retentionSeconds: number(fields.retention_seconds),
  };
}

/** The change that a message is. */
export function sentChange(sent: StoredMessage): Change {
  const { messageSeq, senderId: actorId, timestamp } = sent;
  return {
    messageSeq, type: SENT, actorId, timestamp, message: sent, userIds: [], role: "ROLE_UNSPECIFIED", name: "", avatarUrl: "", retentionSeconds: 0,
  };
}

/** The change of a `new_message`, `message_changed` or `member_changed`; null for other pushes. */
export function pushedChange(frame: Frame): Change | null {
  if (frame.type === "new_message") return sentChange(message(frame));
  const isChange = frame.type === "message_changed" || frame.type === "member_changed";
  return isChange && frame.change ? change(frame.change as Fields) : null;
}

const membership = (fields: Fields): Membership => ({
  role: text(fields.role || "ROLE_UNSPECIFIED") as Role,
  readSeq: number(fields.read_seq),
  muteUntilMs: number(fields.mute_until_ms),
  pinned: Boolean(fields.pinned),
  archived: Boolean(fields.archived),
  markedUnread: Boolean(fields.marked_unread),
});

/** What a conversation is for the user after a `membership_changed`; null for other pushes. */
export const pushedMembership = (frame: Frame): Membership | null =>
  frame.type === "membership_changed" ? membership((frame.membership ?? {}) as Fields) : null;

export function conversation(fields: Fields): Conversation {
  return {
    conversationId: text(fields.conversation_id),
    type: text(fields.type) as ConversationType,
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
    ...(fields.last_message ? { lastMessage: message(fields.last_message as Fields) } : {}),
    ...membership((fields.membership ?? {}) as Fields),
  };
}

export const conversations = (answer: Fields): Conversation[] => list(answer.conversations).map(conversation);
export const messages = (answer: Fields): StoredMessage[] => list(answer.messages).map(message);
export const changes = (answer: Fields): Change[] => list(answer.changes).map(change);
export const nextPage = (answer: Fields): string => text(answer.next_page_token);
export const olderPage = (answer: Fields): string => text(answer.older_page_token);
export const seqOf = (answer: Fields): number => number(answer.message_seq);
export const lastSeqOf = (answer: Fields): number => number(answer.last_message_seq);
export const visibleFromOf = (fields: Fields): number => number(fields.visible_from_seq);
export const conversationIdOf = (fields: Fields): string => text(fields.conversation_id);

export const members = (answer: Fields): Member[] =>
  list(answer.members).map((fields) => ({
    userId: text(fields.user_id),
    role: text(fields.role) as Role,
    joinedSeq: number(fields.joined_seq),
  }));

export const pinnedMessages = (answer: Fields): PinnedMessage[] =>
  list(answer.pinned_messages).map((fields) => ({
    message: message((fields.message ?? {}) as Fields),
    pinnedBy: text(fields.pinned_by),
    pinTime: text(fields.pin_time),
  }));

/** A draft that was stored: `timestamp` is when, in milliseconds since 1970. */
export interface StoredDraft {
  readonly content: string;
  readonly timestamp: number;
  readonly deviceId: string;
}

/** The draft of a `draft_changed`; null for other pushes. */
export const pushedDraft = (frame: Frame): StoredDraft | null =>
  frame.type === "draft_changed"
    ? { content: text(frame.content), timestamp: number(frame.timestamp), deviceId: text(frame.device_id) }
    : null;

export const timestampOf = (answer: Fields): number => number(answer.timestamp);

const receipt = (fields: Fields): Receipt => ({
  userId: text(fields.user_id),
  deliveredSeq: number(fields.delivered_seq),
  readSeq: number(fields.read_seq),
});

export const receipts = (answer: Fields): Receipt[] => list(answer.receipts).map(receipt);

/** The positions of members that a `receipt` push brings; none where it is no such push. */
export const pushedReceipts = (frame: Frame): Receipt[] =>
  frame.type === "receipt" && frame.user_id ? [frame, ...list(frame.others)].map(receipt) : [];

/** The members after a `member_changed`; undefined for other pushes. */
export function membersOf(frame: Frame): { memberCount: number; membersEpoch: number } | undefined {
  if (frame.type !== "member_changed") return undefined;
  return { memberCount: number(frame.member_count), membersEpoch: number(frame.members_epoch) };
}

/** What the answer to `send_message`, `edit_message` or `delete_message` says. */
export function accepted(answer: Fields): Accepted {
  return {
    messageId: text(answer.message_id),
    messageSeq: number(answer.message_seq),
    timestamp: number(answer.timestamp),
    ordinal: number(answer.ordinal),
  };
}
