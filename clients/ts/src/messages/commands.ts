// What a user changes of conversations and their members, and how a conversation is shown to the user.

import type { Client } from "../client.ts";
import type { Fields } from "../connection/codec.ts";
import type { PlauditError } from "../errors.ts";
import { Events } from "../events.ts";
import { uuid7 } from "../ids.ts";
import type { ConversationList } from "./conversation_list.ts";
import type { Directory } from "./directory.ts";
import type { Conversation, Message, Role } from "./types.ts";

export interface MessengerEvents {
  /** The list has changed: its order, its entries, or what is unread. */
  conversations: object;
  timeline: { conversationId: string };
  members: { conversationId: string };
  /** The pinned messages of an open conversation have changed. */
  pins: { conversationId: string };
  /** A message of another user was sent just now; once for each. Those of the backlog are in the list. */
  message: { message: Message };
  /** The server refuses what was shown already: it is shown no longer, a message as failed. */
  refused: { conversationId: string; message?: Message; action: "send" | "edit" | "delete" | "read"; error: PlauditError };
}

/** The commands of `Messenger`. They resolve once the server has made the change, and reject where it refuses it. */
export abstract class ConversationCommands extends Events<MessengerEvents> {
  protected abstract readonly client: Client;
  protected abstract readonly list: ConversationList;
  protected abstract readonly directory: Directory;
  /** The list was changed here. */
  protected abstract onListChanged(): void;
  readonly #settings = new Map<string, number>(); // how many calls of a conversation have no answer

  /** The id of the direct conversation with a user, which is made where it is missing. */
  async openDirect(userId: string): Promise<string> {
    const known = this.list.withPeer(userId);
    return known ? known.conversationId : this.#create("create_conversation", { participant_ids: [userId] });
  }

  /** Creates a group with these other members; returns its id. */
  createGroup(name: string, memberIds: readonly string[]): Promise<string> {
    return this.#create("create_group", { name, member_ids: memberIds, op_id: uuid7() });
  }

  addMembers(conversationId: string, userIds: readonly string[]): Promise<void> {
    return this.#change("add_members", conversationId, { user_ids: userIds });
  }

  removeMember(conversationId: string, userId: string): Promise<void> {
    return this.#change("remove_member", conversationId, { user_id: userId });
  }

  leave(conversationId: string): Promise<void> {
    return this.#change("leave_conversation", conversationId);
  }

  setRole(conversationId: string, userId: string, role: Role): Promise<void> {
    return this.#change("set_member_role", conversationId, { user_id: userId, role });
  }

  rename(conversationId: string, name: string): Promise<void> {
    return this.#change("update_conversation", conversationId, { name });
  }

  /** Lets messages disappear after a time, also those that are there; 0: they stay. */
  setRetention(conversationId: string, retentionSeconds: number): Promise<void> {
    return this.#change("set_retention", conversationId, { retention_seconds: retentionSeconds });
  }

  convertToChannel(conversationId: string): Promise<void> {
    return this.#change("convert_to_channel", conversationId);
  }

  async joinChannel(conversationId: string): Promise<void> {
    await this.#change("join_channel", conversationId);
    await this.directory.read(conversationId);
  }

  /** Mutes a conversation until a time in milliseconds since 1970; 0: no longer. */
  mute(conversationId: string, muteUntilMs: number): Promise<void> {
    return this.#setMembership(conversationId, { mute_until_ms: muteUntilMs }, { muteUntilMs });
  }

  pin(conversationId: string, pinned: boolean): Promise<void> {
    return this.#setMembership(conversationId, { pinned }, { pinned });
  }

  /** Moves a conversation to the archived ones, until a message comes; or back. */
  archive(conversationId: string, archived: boolean): Promise<void> {
    return this.#setMembership(conversationId, { archived }, { archived });
  }

  /** Shows a conversation as unread until it is read, whatever is unread; or no longer. */
  markUnread(conversationId: string, markedUnread: boolean): Promise<void> {
    return this.#setMembership(conversationId, { marked_unread: markedUnread }, { markedUnread });
  }

  /** Whether a change of `Membership` has no answer yet: pushes may be older than what is shown. */
  protected isSetting(conversationId: string): boolean {
    return this.#settings.has(conversationId);
  }

  async #create(type: string, fields: Fields): Promise<string> {
    const answer = await this.client.call(type, fields);
    return this.directory.add(answer.conversation as Fields).conversationId;
  }

  async #change(type: string, conversationId: string, fields: Fields = {}): Promise<void> {
    await this.client.call(type, { conversation_id: conversationId, op_id: uuid7(), ...fields });
  }

  // Shown at once, and as before where the server refuses it.
  async #setMembership(conversationId: string, fields: Fields, shown: Partial<Conversation>): Promise<void> {
    this.list.patch(conversationId, shown);
    this.onListChanged();
    this.#settings.set(conversationId, (this.#settings.get(conversationId) ?? 0) + 1);
    try {
      await this.client.call("update_membership", { conversation_id: conversationId, ...fields });
    } catch (error) {
      this.directory.readLater(conversationId);
      throw error;
    } finally {
      const left = this.#settings.get(conversationId)! - 1;
      if (left) this.#settings.set(conversationId, left);
      else this.#settings.delete(conversationId);
    }
  }
}
