// The conversations of a user as they are shown: local state that pushes keep up to date, and changes shown before they are accepted.

import type { Client } from "../client.ts";
import type { Fields, Frame } from "../connection/codec.ts";
import type { PlauditError } from "../errors.ts";
import { Events } from "../events.ts";
import { uuid7 } from "../ids.ts";
import { ConversationList } from "./conversation_list.ts";
import { Directory } from "./directory.ts";
import { OpenConversations } from "./open_conversations.ts";
import { Outgoing, type SendOptions } from "./outgoing.ts";
import { Outbox, type QueueStorage } from "./outbox.ts";
import { ReadPositions } from "./read_positions.ts";
import type { Conversation, Member, Message, Receipt, Role, Timeline } from "./types.ts";
import * as wire from "./wire.ts";

const CONVERSATIONS = "conversations/";

export type { SendOptions } from "./outgoing.ts";

export interface MessengerOptions {
  /** Where messages that are not yet accepted are kept over a reload of the page, for example `localStorage`. */
  storage?: QueueStorage;
}

export interface MessengerEvents {
  /** The list has changed: its order, its entries, or what is unread. */
  conversations: object;
  timeline: { conversationId: string };
  members: { conversationId: string };
  /** A message of another user was pushed; once for each. */
  message: { message: Message };
  /** The server refuses what was shown already: it is shown no longer, a message as failed. */
  refused: { conversationId: string; message?: Message; action: "send" | "edit" | "delete" | "read"; error: PlauditError };
}

export class Messenger extends Events<MessengerEvents> {
  readonly #client: Client;
  readonly #storage: QueueStorage | undefined;
  readonly #list: ConversationList;
  readonly #directory: Directory;
  readonly #open: OpenConversations;
  readonly #outbox = new Outbox();
  readonly #outgoing: Outgoing;
  readonly #reads: ReadPositions;
  readonly #changed = new Map<string, () => void>();
  readonly #listeners: (() => void)[];
  readonly #channels = new Set<string>();
  #user = "";
  #mustLoad = true;

  constructor(client: Client, { storage }: MessengerOptions = {}) {
    super();
    this.#client = client;
    this.#storage = storage;
    this.#list = new ConversationList(() => this.#user);
    this.#directory = new Directory(client, this.#list, (loaded) => this.#onLoaded(loaded));
    this.#open = new OpenConversations({
      client,
      user: () => this.#user,
      outbox: this.#outbox,
      lastSeq: (id) => this.#list.get(id)?.lastMessageSeq,
      onConversation: (fields) => this.#directory.add(fields),
      onTimeline: (id) => this.#soon("timeline", id),
      onMembers: (id) => this.#soon("members", id),
    });
    this.#outgoing = new Outgoing(client, this.#outbox, {
      lane: (id) => this.#laneOf(id),
      onChange: (id) => this.#open.changed(id),
      onAccepted: (id, seq) => this.#onAccepted(id, seq),
      onRefused: (entry, error) => {
        const message = this.#open.message(entry.conversationId, entry.action === "send" ? entry.id : entry.target);
        const { conversationId, action } = entry;
        this.emit("refused", { conversationId, ...(message ? { message } : {}), action, error });
      },
    });
    this.#reads = new ReadPositions(client, (conversationId, error) => {
      this.#directory.readLater(conversationId);
      this.emit("refused", { conversationId, action: "read", error });
    });
    this.#listeners = [
      client.on("welcome", ({ complete }) => this.#onWelcome(complete)),
      client.on("subscribed", ({ topics }) => this.#onSubscribed(topics)),
      client.on("push", ({ frame }) => this.#onPush(frame)),
    ];
    if (client.state === "live") this.#onWelcome(false);
  }

  /** Ends the messenger; the client stays. */
  close(): void {
    for (const stop of this.#listeners) stop();
    this.#directory.close();
    this.#open.close();
    this.#client.unsubscribe([...this.#channels, ...(this.#user ? [`users/${this.#user}`] : [])]);
  }

  /** Pinned ones first, then those with the latest change. */
  get conversations(): readonly Conversation[] {
    return this.#list.all;
  }

  /** How many messages are unread in conversations that are not muted. */
  get unread(): number {
    return this.#list.unread();
  }

  get hasMoreConversations(): boolean {
    return this.#directory.hasMore;
  }

  conversation(conversationId: string): Conversation | undefined {
    return this.#list.get(conversationId);
  }

  /** Reads the list again. It is read by itself for each session that may have missed something. */
  loadConversations(): Promise<void> {
    return this.#directory.load();
  }

  loadMoreConversations(): Promise<void> {
    return this.#directory.loadMore();
  }

  /** Keeps the messages, members and receipts of a conversation until `stop()`, which it returns. */
  open(conversationId: string): () => void {
    return this.#open.open(conversationId);
  }

  timeline(conversationId: string): Timeline {
    return this.#open.timeline(conversationId);
  }

  loadOlder(conversationId: string, size = 50): Promise<void> {
    return this.#open.get(conversationId)?.loadOlder(size) ?? Promise.resolve();
  }

  members(conversationId: string): readonly Member[] {
    return this.#open.get(conversationId)?.members ?? [];
  }

  /** Up to which message the other members have received and read. */
  receipts(conversationId: string): readonly Receipt[] {
    return this.#open.get(conversationId)?.positions.all ?? [];
  }

  /** Sends a message; it is shown at once. Resolves once the server has it, rejects where the server refuses it. */
  send(conversationId: string, content: string, options?: SendOptions): Promise<void> {
    return this.#outgoing.send({ conversationId, recipientId: "" }, content, options);
  }

  /** Sends a message to a user, in the direct conversation with them, which is made where it is missing. */
  sendTo(userId: string, content: string, options?: SendOptions): Promise<void> {
    const conversationId = this.#list.withPeer(userId)?.conversationId ?? "";
    return this.#outgoing.send({ conversationId, recipientId: conversationId ? "" : userId }, content, options);
  }

  edit(conversationId: string, message: Message, content: string, options?: SendOptions): Promise<void> {
    return this.#outgoing.change(conversationId, "edit", message, content, options);
  }

  delete(conversationId: string, message: Message): Promise<void> {
    return this.#outgoing.change(conversationId, "delete", message);
  }

  /** Sends a refused message again, after what is queued now. */
  retry(conversationId: string, message: Message): Promise<void> {
    return this.#outgoing.retry(conversationId, message.clientMsgId);
  }

  /** Forgets a message that was not accepted. */
  discard(conversationId: string, message: Message): void {
    this.#outgoing.discard(conversationId, message.clientMsgId);
  }

  /** The user has read up to a message, by default the last one. `private`: the other members do not see it. */
  markRead(conversationId: string, message?: { messageId: string; messageSeq: number }, { private: isPrivate = false } = {}): void {
    const known = this.#list.get(conversationId);
    const last = message ?? known?.lastMessage;
    if (!known || !last?.messageId || last.messageSeq <= known.readSeq) return;
    this.#list.read(conversationId, last.messageSeq, this.#open.countAfter(conversationId, last.messageSeq));
    this.#soon("conversations");
    this.#reads.mark(conversationId, last, isPrivate);
  }

  /** The id of the direct conversation with a user, which is made where it is missing. */
  async openDirect(userId: string): Promise<string> {
    const known = this.#list.withPeer(userId);
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

  convertToChannel(conversationId: string): Promise<void> {
    return this.#change("convert_to_channel", conversationId);
  }

  async joinChannel(conversationId: string): Promise<void> {
    await this.#change("join_channel", conversationId);
    await this.#directory.read(conversationId);
  }

  /** Mutes a conversation until a time in milliseconds since 1970; 0: no longer. */
  mute(conversationId: string, muteUntilMs: number): Promise<void> {
    return this.#setMembership(conversationId, { mute_until_ms: muteUntilMs }, { muteUntilMs });
  }

  pin(conversationId: string, pinned: boolean): Promise<void> {
    return this.#setMembership(conversationId, { pinned }, { pinned });
  }

  async #create(type: string, fields: Fields): Promise<string> {
    const answer = await this.#client.call(type, fields);
    return this.#directory.add(answer.conversation as Fields).conversationId;
  }

  async #change(type: string, conversationId: string, fields: Fields = {}): Promise<void> {
    await this.#client.call(type, { conversation_id: conversationId, op_id: uuid7(), ...fields });
  }

  // Shown at once, and as before where the server refuses it.
  async #setMembership(conversationId: string, fields: Fields, shown: Partial<Conversation>): Promise<void> {
    this.#list.patch(conversationId, shown);
    this.#soon("conversations");
    try {
      await this.#client.call("update_membership", { conversation_id: conversationId, ...fields });
    } catch (error) {
      this.#directory.readLater(conversationId);
      throw error;
    }
  }

  #laneOf(conversationId: string): string {
    const peer = this.#list.get(conversationId)?.peerId;
    return peer ? `user:${peer}` : conversationId;
  }

  #onWelcome(complete: boolean): void {
    const isFirst = this.#user === "";
    this.#user = this.#client.user;
    if (isFirst) {
      if (this.#storage) this.#outbox.restore(this.#storage, this.#user);
      this.#client.subscribe([`users/${this.#user}`]);
    }
    this.#mustLoad ||= !complete;
    this.#outgoing.start();
  }

  // What happens after this answer is pushed: a state that is loaded now misses nothing.
  #onSubscribed(topics: string[]): void {
    for (const topic of topics) {
      if (!this.#channels.has(topic)) continue;
      // The messages of a channel come on its topic, and those before the subscription were missed.
      const conversationId = topic.slice(CONVERSATIONS.length);
      void this.#open.get(conversationId)?.catchUp();
      this.#directory.readLater(conversationId);
    }
    if (!this.#mustLoad || !topics.includes(`users/${this.#user}`)) return;
    this.#mustLoad = false;
    this.#directory.load().catch(() => (this.#mustLoad = true));
    this.#open.catchUp();
  }

  #onPush(frame: Frame): void {
    const conversationId = wire.conversationIdOf(frame);
    for (const receipt of wire.pushedReceipts(frame)) {
      if (receipt.userId !== this.#user) this.#open.get(conversationId)?.pushReceipt(receipt);
    }
    const change = wire.pushedChange(frame);
    if (!change || !conversationId) return;
    const isNew = change.messageSeq > (this.#list.get(conversationId)?.lastMessageSeq ?? 0);
    const result = this.#list.push(conversationId, change, wire.membersOf(frame));
    if (result === "stale") this.#directory.readLater(conversationId);
    this.#open.get(conversationId)?.push(change);
    if (result !== "known") this.#soon("conversations");
    const { message } = change;
    if (frame.type !== "new_message" || !message || !isNew || message.senderId === this.#user) return;
    this.emit("message", { message: this.#open.shown(message) });
  }

  #onLoaded(loaded: Conversation[]): void {
    this.#soon("conversations");
    for (const { conversationId, type, lastMessage, unreadCount, lastMessageSeq, role } of loaded) {
      this.#open.get(conversationId)?.expect(lastMessageSeq);
      const isMember = role !== "ROLE_UNSPECIFIED";
      if (!isMember) continue;
      const isChannel = type === "CONVERSATION_TYPE_CHANNEL";
      // A pushed message is delivered by its acknowledgement; these were sent while the device was away.
      if (unreadCount && lastMessage && !isChannel) this.#reads.deliver(conversationId, lastMessage);
      const topic = CONVERSATIONS + conversationId;
      if (!isChannel || this.#channels.has(topic)) continue;
      this.#channels.add(topic);
      this.#client.subscribe([topic]);
    }
  }

  #onAccepted(conversationId: string, messageSeq: number): void {
    this.#open.get(conversationId)?.expect(messageSeq);
    if ((this.#list.get(conversationId)?.lastMessageSeq ?? 0) < messageSeq) this.#directory.readLater(conversationId, 1_000);
  }

  // Many changes of one turn are one event.
  #soon(type: "conversations"): void;
  #soon(type: "timeline" | "members", conversationId: string): void;
  #soon(type: "conversations" | "timeline" | "members", conversationId = ""): void {
    if (this.#changed.size === 0) queueMicrotask(() => this.#emitChanged());
    if (type === "conversations") this.#changed.set(type, () => this.emit(type, {}));
    else this.#changed.set(`${type} ${conversationId}`, () => this.emit(type, { conversationId }));
  }

  #emitChanged(): void {
    const events = [...this.#changed.values()];
    this.#changed.clear();
    for (const emit of events) emit();
  }
}
