// The values that the messenger shows. None is changed in place: a change makes another object.

import type { PlauditError } from "../errors.ts";

export type ConversationType = "CONVERSATION_TYPE_DIRECT" | "CONVERSATION_TYPE_GROUP" | "CONVERSATION_TYPE_CHANNEL";
export type Role = "ROLE_UNSPECIFIED" | "ROLE_MEMBER" | "ROLE_ADMIN";

/** A message as the server has it. */
export interface StoredMessage {
  readonly messageId: string;
  readonly conversationId: string;
  readonly senderId: string;
  readonly content: string;
  readonly contentType: string;
  /** Milliseconds since 1970. */
  readonly timestamp: number;
  readonly messageSeq: number;
  readonly ordinal: number;
  readonly clientMsgId: string;
  readonly replyTo: string;
  readonly mentions: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  /** ISO times; empty: never. */
  readonly editTime: string;
  readonly deleteTime: string;
  readonly deletedBy: DeletedBy;
  /** How often the content was forwarded to get here, 5 for five times and more; 0: the sender wrote it. */
  readonly forwardCount: number;
}

export type DeletedBy = "DELETED_BY_UNSPECIFIED" | "DELETED_BY_SENDER" | "DELETED_BY_ADMIN" | "DELETED_BY_MODERATOR";

/** A numbered change of a conversation; see `Change` of the contracts. */
export interface Change {
  readonly messageSeq: number;
  readonly type: string;
  readonly actorId: string;
  readonly timestamp: number;
  readonly message: StoredMessage | undefined;
  readonly userIds: readonly string[];
  readonly role: Role;
  readonly name: string;
  readonly avatarUrl: string;
  readonly retentionSeconds: number;
}

/** `sent`: durable at the server; `delivered` and `read`: by all other members. */
export type Status = "pending" | "failed" | "sent" | "delivered" | "read";

/** A message as it is shown, with what this client has not yet been told was accepted. */
export interface Message {
  readonly kind: "message";
  /** The same while the message is sent, so that a view can keep its element. */
  readonly key: string;
  readonly conversationId: string;
  /** Empty while it is pending. */
  readonly messageId: string;
  readonly clientMsgId: string;
  readonly senderId: string;
  readonly own: boolean;
  readonly content: string;
  readonly contentType: string;
  readonly timestamp: number;
  /** 0 while it is pending. */
  readonly messageSeq: number;
  readonly ordinal: number;
  readonly replyTo: string;
  readonly mentions: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly edited: boolean;
  readonly deleted: boolean;
  readonly deletedBy: DeletedBy;
  /** As in `StoredMessage`. */
  readonly forwardCount: number;
  readonly status: Status;
  /** Why it was refused. */
  readonly error?: PlauditError;
  /** A change that is shown and not yet accepted. */
  readonly change?: "edit" | "delete";
}

/** A change of the conversation or its members. */
export interface ConversationEvent extends Omit<Change, "message"> {
  readonly kind: "event";
  readonly key: string;
  readonly conversationId: string;
}

export type Item = Message | ConversationEvent;

export interface Timeline {
  /** In the order of `messageSeq`, without a gap; pending messages last. */
  readonly items: readonly Item[];
  readonly hasOlder: boolean;
  readonly isLoading: boolean;
  /** Why the last page could not be loaded. */
  readonly error?: PlauditError;
}

/** What a conversation is for the user alone. */
export interface Membership {
  /** ROLE_UNSPECIFIED: the user is no longer a member. */
  readonly role: Role;
  readonly readSeq: number;
  readonly muteUntilMs: number;
  readonly pinned: boolean;
  /** A message ends this, unless the conversation is muted. */
  readonly archived: boolean;
  /** Reading or an own message ends this. */
  readonly markedUnread: boolean;
}

export interface Conversation extends Membership {
  readonly conversationId: string;
  readonly type: ConversationType;
  readonly name: string;
  readonly avatarUrl: string;
  readonly creatorId: string;
  /** ISO times. */
  readonly createTime: string;
  readonly updateTime: string;
  readonly lastMessageSeq: number;
  readonly memberCount: number;
  readonly membersEpoch: number;
  /** The other user of a direct conversation; otherwise empty. */
  readonly peerId: string;
  readonly unreadCount: number;
  /** After how many seconds messages disappear; 0: they stay. */
  readonly retentionSeconds: number;
  /** Messages and changes with a smaller number have disappeared. */
  readonly visibleFromSeq: number;
  /** What the user has written and not sent, on this device or another one; empty: nothing. */
  readonly draft: string;
  readonly lastMessage?: StoredMessage;
}

export interface PinnedMessage {
  readonly message: StoredMessage;
  readonly pinnedBy: string;
  /** An ISO time. */
  readonly pinTime: string;
}

export type ReportReason =
  | "REPORT_REASON_SPAM" | "REPORT_REASON_HARASSMENT" | "REPORT_REASON_HATE" | "REPORT_REASON_VIOLENCE" | "REPORT_REASON_SEXUAL"
  | "REPORT_REASON_SELF_HARM" | "REPORT_REASON_ILLEGAL" | "REPORT_REASON_OTHER";

export interface Member {
  readonly userId: string;
  readonly role: Role;
  /** The number of the change that added the member. */
  readonly joinedSeq: number;
}

/** Up to which message another member has received and read. */
export interface Receipt {
  readonly userId: string;
  readonly deliveredSeq: number;
  readonly readSeq: number;
}
