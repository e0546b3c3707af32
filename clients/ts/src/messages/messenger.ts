// The conversations of a user as they are shown: local state that pushes keep up to date, and changes shown before they are accepted.

import type { Client } from "../client.ts";
import type { Frame } from "../connection/codec.ts";
import { Backlog } from "./backlog.ts";
import { ChangedEvents } from "./changed_events.ts";
import { ConversationList } from "./conversation_list.ts";
import { Directory } from "./directory.ts";
import { Drafts } from "./drafts.ts";
import { MessageCommands } from "./message_commands.ts";
import { OpenConversations } from "./open_conversations.ts";
import { Outgoing } from "./outgoing.ts";
import { Outbox, type QueueStorage } from "./outbox.ts";
import { ReadPositions } from "./read_positions.ts";
import type { Conversation, Member, Membership, PinnedMessage, Receipt, Timeline } from "./types.ts";
import * as wire from "./wire.ts";

const CONVERSATIONS = "conversations/";

export type { MessengerEvents } from "./commands.ts";
export type { SendOptions } from "./outgoing.ts";

export interface MessengerOptions {
  /** Where messages that are not yet accepted are kept over a reload of the page, for example `localStorage`. */
  storage?: QueueStorage;
}

/**
 * The list and the open conversations of the user of a client, up to date as long as it is connected. Give the client the
 * options `device` and `backlog`: then what was sent while the device was away is delivered for its senders, too.
 */
export class Messenger extends MessageCommands {
  protected readonly client: Client;
  protected readonly list: ConversationList;
  protected readonly directory: Directory;
  readonly #storage: QueueStorage | undefined;
  readonly #backlog: Backlog;
  readonly #open: OpenConversations;
  readonly #outbox = new Outbox();
  protected readonly outgoing: Outgoing;
  protected readonly drafts: Drafts;
  readonly #reads: ReadPositions;
  readonly #changed = new ChangedEvents();
  readonly #listeners: (() => void)[];
  readonly #channels = new Set<string>();
  readonly #pushed = new Map<string, number>(); // by conversation, the largest number that was pushed
  #user = "";
  #mustLoad = true;

  constructor(client: Client, { storage }: MessengerOptions = {}) {
    super();
    this.client = client;
    this.#storage = storage;
    this.list = new ConversationList(() => this.#user);
    this.directory = new Directory(client, this.list, (loaded) => this.#onLoaded(loaded));
    this.#backlog = new Backlog(client, this.list, this.directory);
    this.#open = new OpenConversations({
      client,
      user: () => this.#user,
      outbox: this.#outbox,
      lastSeq: (id) => this.list.get(id)?.lastMessageSeq,
      onConversation: (fields) => this.directory.add(fields),
      onTimeline: (id) => this.#soon("timeline", id),
      onMembers: (id) => this.#soon("members", id),
      onPins: (id) => this.#soon("pins", id),
    });
    this.outgoing = new Outgoing(client, this.#outbox, {
      lane: (id) => this.#laneOf(id),
      onChange: (id) => this.#open.changed(id),
      onAccepted: (id, seq) => this.#onAccepted(id, seq),
      onRefused: (entry, error) => {
        const message = this.#open.message(entry.conversationId, entry.action === "send" ? entry.id : entry.target);
        const { conversationId, action } = entry;
        this.emit("refused", { conversationId, ...(message ? { message } : {}), action, error });
      },
    });
    this.drafts = new Drafts({
      client, list: this.list, device: () => client.device, isEnding: (id) => this.outgoing.endsDraft(id), onChange: () => this.#soon("conversations"),
    });
    this.#reads = new ReadPositions(client, (conversationId, error) => {
      this.directory.readLater(conversationId);
      this.emit("refused", { conversationId, action: "read", error });
    });
    this.#listeners = [
      client.on("welcome", ({ complete }) => this.#onWelcome(complete)),
      client.on("subscribed", ({ topics }) => this.#onSubscribed(topics)),
      client.on("push", ({ frame, isBacklog }) => this.#onPush(frame, isBacklog)),
      client.on("backlog", ({ incomplete }) => this.#backlog.onDone(incomplete)),
    ];
    globalThis.addEventListener?.("pagehide", this.#onPageHide);
    if (client.state === "live") this.#onWelcome(false);
  }

  /** Ends the messenger; the client stays. */
  close(): void {
    globalThis.removeEventListener?.("pagehide", this.#onPageHide);
    this.#reads.close();
    this.drafts.close();
    for (const stop of this.#listeners) stop();
    this.directory.close();
    this.#open.close();
    this.client.unsubscribe([...this.#channels, ...(this.#user ? [`users/${this.#user}`] : [])]);
  }

  /** Those that are not archived: pinned ones first, then those with the latest change. */
  get conversations(): readonly Conversation[] {
    return this.list.all;
  }

  /** How many messages are unread in conversations that are not muted. */
  get unread(): number {
    return this.list.unread();
  }

  /** The archived ones that are loaded, in the same order; see `loadArchived`. */
  get archived(): readonly Conversation[] {
    return this.list.archived;
  }

  get hasMoreArchived(): boolean {
    return this.directory.hasMoreArchived;
  }

  get hasMoreConversations(): boolean {
    return this.directory.hasMore;
  }

  conversation(conversationId: string): Conversation | undefined {
    return this.list.get(conversationId);
  }

  /** Reads the list again. It is read by itself for each session that may have missed something. */
  loadConversations(): Promise<void> {
    return this.directory.load();
  }

  /** Reads the first archived conversations, or more of them. */
  loadArchived(): Promise<void> {
    return this.directory.loadArchived();
  }

  loadMoreConversations(): Promise<void> {
    return this.directory.loadMore();
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

  /** The pinned messages of an open conversation, the latest pin first. */
  pins(conversationId: string): readonly PinnedMessage[] {
    return this.#open.get(conversationId)?.pins.all ?? [];
  }

  /** The user has read up to a message, by default the last one. `private`: the other members do not see it. */
  markRead(conversationId: string, message?: { messageId: string; messageSeq: number }, { private: isPrivate = false } = {}): void {
    const known = this.list.get(conversationId);
    const last = message ?? known?.lastMessage;
    if (!known || !last?.messageId || (last.messageSeq <= known.readSeq && !known.markedUnread)) return;
    this.list.read(conversationId, last.messageSeq, this.#open.countAfter(conversationId, last.messageSeq));
    this.#soon("conversations");
    this.#reads.mark(conversationId, { messageId: last.messageId, messageSeq: last.messageSeq, isPrivate });
  }

  protected onListChanged(): void {
    this.#soon("conversations");
  }

  // The page may be closed, or frozen and never shown again.
  readonly #onPageHide = (): void => {
    this.#reads.flush();
    this.drafts.flush();
  };

  #laneOf(conversationId: string): string {
    const peer = this.list.get(conversationId)?.peerId;
    return peer ? `user:${peer}` : conversationId;
  }

  #onWelcome(complete: boolean): void {
    const isFirst = this.#user === "";
    this.#user = this.client.user;
    if (isFirst) {
      if (this.#storage) {
        this.#outbox.restore(this.#storage, this.#user);
        this.drafts.restore(this.#storage, this.#user);
      }
      this.client.subscribe([`users/${this.#user}`]);
    }
    this.#mustLoad ||= !complete;
    if (!complete) this.#backlog.begin();
    // What was set on other devices is pushed, but not again: it may be missing where no other push is.
    else this.directory.load().catch(() => (this.#mustLoad = true));
    this.outgoing.start();
  }

  // What happens after this answer is pushed: a state that is loaded now misses nothing.
  #onSubscribed(topics: string[]): void {
    for (const topic of topics) {
      if (!this.#channels.has(topic)) continue;
      // The messages of a channel come on its topic, and those before the subscription were missed.
      const conversationId = topic.slice(CONVERSATIONS.length);
      void this.#open.get(conversationId)?.catchUp();
      this.directory.readLater(conversationId);
    }
    if (!this.#mustLoad || !topics.includes(`users/${this.#user}`)) return;
    this.#mustLoad = false;
    this.directory.load().then(() => this.#backlog.onListLoaded(), () => (this.#mustLoad = true));
    this.#open.catchUp();
  }

  #onPush(frame: Frame, isBacklog: boolean): void {
    const conversationId = wire.conversationIdOf(frame);
    for (const receipt of wire.pushedReceipts(frame)) {
      if (receipt.userId !== this.#user) this.#open.get(conversationId)?.pushReceipt(receipt);
    }
    if (frame.type === "messages_expired") this.#hideBefore(conversationId, wire.visibleFromOf(frame));
    const membership = wire.pushedMembership(frame);
    if (membership) this.#onMembership(conversationId, membership);
    const draft = wire.pushedDraft(frame);
    if (draft) this.drafts.push(conversationId, draft);
    const change = wire.pushedChange(frame);
    if (!change || !conversationId) return;
    // The list may have been loaded with a message before its push arrived.
    const isNew = change.messageSeq > (this.#pushed.get(conversationId) ?? 0);
    if (isNew) this.#pushed.set(conversationId, change.messageSeq);
    const result = this.list.push(conversationId, change, wire.membersOf(frame));
    if (result === "stale" && isBacklog) this.#backlog.add(conversationId, change);
    else if (result === "stale") this.directory.readLater(conversationId);
    this.#open.get(conversationId)?.push(change);
    if (result !== "known") this.#soon("conversations");
    const { message } = change;
    if (frame.type !== "new_message" || !message || !isNew || isBacklog || message.senderId === this.#user) return;
    this.emit("message", { message: this.#open.shown(message) });
  }

  // These messages have disappeared for everyone.
  #hideBefore(conversationId: string, visibleFromSeq: number): void {
    if (this.list.hideBefore(conversationId, visibleFromSeq) === "stale") this.directory.readLater(conversationId);
    this.#open.get(conversationId)?.hideBefore(visibleFromSeq);
    this.#soon("conversations");
  }

  #onMembership(conversationId: string, membership: Membership): void {
    // An older push must not undo what was set after it.
    const result = this.isSetting(conversationId) ? "stale" : this.list.pushMembership(conversationId, membership);
    if (result === "stale") this.directory.readLater(conversationId);
    this.#soon("conversations");
  }

  #onLoaded(loaded: Conversation[]): void {
    this.#soon("conversations");
    for (const { conversationId } of loaded) this.drafts.onLoaded(conversationId);
    for (const { conversationId, type, lastMessageSeq, visibleFromSeq, role } of loaded) {
      this.#open.get(conversationId)?.hideBefore(visibleFromSeq);
      this.#open.get(conversationId)?.expect(lastMessageSeq);
      const isMember = role !== "ROLE_UNSPECIFIED";
      const isChannel = type === "CONVERSATION_TYPE_CHANNEL";
      const topic = CONVERSATIONS + conversationId;
      if (!isMember || !isChannel || this.#channels.has(topic)) continue;
      this.#channels.add(topic);
      this.client.subscribe([topic]);
    }
  }

  #onAccepted(conversationId: string, messageSeq: number): void {
    this.#open.get(conversationId)?.expect(messageSeq);
    if ((this.list.get(conversationId)?.lastMessageSeq ?? 0) < messageSeq) this.directory.readLater(conversationId, 1_000);
  }

  #soon(type: "conversations"): void;
  #soon(type: "timeline" | "members" | "pins", conversationId: string): void;
  #soon(type: "conversations" | "timeline" | "members" | "pins", conversationId = ""): void {
    const emit = () => (type === "conversations" ? this.emit(type, {}) : this.emit(type, { conversationId }));
    this.#changed.soon(`${type} ${conversationId}`, emit);
  }
}
