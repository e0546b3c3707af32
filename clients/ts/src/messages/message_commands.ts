// What a user does to messages: send, forward, change, pin, report.

import { uuid7 } from "../ids.ts";
import { ConversationCommands } from "./commands.ts";
import type { Drafts } from "./drafts.ts";
import type { ForwardedMessage, Outgoing, SendOptions } from "./outgoing.ts";
import type { Message, ReportReason } from "./types.ts";

/** A message that the server has. */
export type MessageRef = Pick<Message, "messageId">;

/** The commands of `Messenger` for messages. They resolve once the server has made the change, and reject where it refuses it. */
export abstract class MessageCommands extends ConversationCommands {
  protected abstract readonly outgoing: Outgoing;
  protected abstract readonly drafts: Drafts;

  /** Sends a message; it is shown at once. Resolves once the server has it, rejects where the server refuses it. */
  send(conversationId: string, content: string, options?: SendOptions): Promise<void> {
    const sent = this.outgoing.send({ conversationId, recipientId: "" }, content, options);
    if (options?.clearDraft) this.drafts.end(conversationId);
    return sent;
  }

  /** Sends a message to a user, in the direct conversation with them, which is made where it is missing. */
  sendTo(userId: string, content: string, options?: SendOptions): Promise<void> {
    const conversationId = this.list.withPeer(userId)?.conversationId ?? "";
    return this.outgoing.send({ conversationId, recipientId: conversationId ? "" : userId }, content, options);
  }

  /**
   * Sends the content of a message to another conversation, or the same one, marked as forwarded; it is shown at once. Each
   * call is a message of its own, a repeated attempt of it is not. Who wrote the content and where is not told.
   */
  forward(conversationId: string, message: ForwardedMessage): Promise<void> {
    return this.outgoing.forward(conversationId, message);
  }

  edit(conversationId: string, message: Message, content: string, options?: SendOptions): Promise<void> {
    return this.outgoing.change(conversationId, "edit", message, content, options);
  }

  /** Deletes a message for everyone: an own one, or as an admin of a group or channel one of another user. */
  delete(conversationId: string, message: Message): Promise<void> {
    return this.outgoing.change(conversationId, "delete", message);
  }

  /** Sends a refused message again, after what is queued now. */
  retry(conversationId: string, message: Message): Promise<void> {
    return this.outgoing.retry(conversationId, message.clientMsgId);
  }

  /** Forgets a message that was not accepted. */
  discard(conversationId: string, message: Message): void {
    this.outgoing.discard(conversationId, message.clientMsgId);
  }

  /**
   * What the user has written and not sent in a conversation; `Conversation.draft` has it. It is stored at the server at most
   * once a second and then is on the user's other devices; with the option `storage` it is kept over a reload. A message
   * that is sent with `clearDraft` ends it.
   */
  setDraft(conversationId: string, content: string): void {
    this.drafts.set(conversationId, content);
  }

  /** Stores all drafts now: the user leaves a conversation. */
  saveDrafts(): void {
    this.drafts.flush();
  }

  /** Pins a message for all members; in a group or channel only admins may. The event `pins` follows. */
  pinMessage(conversationId: string, { messageId }: MessageRef): Promise<void> {
    return this.#call("pin_message", conversationId, { message_id: messageId, op_id: uuid7() });
  }

  unpinMessage(conversationId: string, { messageId }: MessageRef): Promise<void> {
    return this.#call("unpin_message", conversationId, { message_id: messageId, op_id: uuid7() });
  }

  /** Reports a message to the moderators, with a copy of its text. `comment`: at most 1,000 characters. */
  reportMessage(conversationId: string, { messageId }: MessageRef, reason: ReportReason, comment = ""): Promise<void> {
    return this.#call("report_message", conversationId, { message_id: messageId, reason, comment });
  }

  async #call(type: string, conversationId: string, fields: object): Promise<void> {
    await this.client.call(type, { conversation_id: conversationId, ...fields });
  }
}
