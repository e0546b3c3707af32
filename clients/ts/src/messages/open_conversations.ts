// The conversations that views show, and what they show.

import type { Client } from "../client.ts";
import type { Fields } from "../connection/codec.ts";
import { isEvent } from "./changes_log.ts";
import { OpenConversation } from "./open_conversation.ts";
import type { Outbox } from "./outbox.ts";
import type { Message, StoredMessage, Timeline } from "./types.ts";
import { TimelineView, settled, shownMessage } from "./views.ts";

export interface OpenConversationsHost {
  client: Client;
  user: () => string;
  outbox: Outbox;
  lastSeq: (conversationId: string) => number | undefined;
  onConversation: (fields: Fields) => void;
  onTimeline: (conversationId: string) => void;
  onMembers: (conversationId: string) => void;
  onPins: (conversationId: string) => void;
}

interface Shown {
  conversation: OpenConversation;
  view: TimelineView;
  timeline: Timeline | undefined;
}

const EMPTY: Timeline = { items: [], hasOlder: false, isLoading: false };

export class OpenConversations {
  readonly #host: OpenConversationsHost;
  readonly #all = new Map<string, Shown>();

  constructor(host: OpenConversationsHost) {
    this.#host = host;
  }

  get(conversationId: string): OpenConversation | undefined {
    return this.#all.get(conversationId)?.conversation;
  }

  /** Adds a view; returns what removes it. */
  open(conversationId: string): () => void {
    const shown = this.#all.get(conversationId) ?? this.#add(conversationId);
    shown.conversation.views += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      shown.conversation.views -= 1;
      if (shown.conversation.views === 0) this.#remove(conversationId, shown);
    };
  }

  close(): void {
    for (const [conversationId, shown] of [...this.#all]) this.#remove(conversationId, shown);
  }

  catchUp(): void {
    for (const { conversation } of this.#all.values()) {
      void conversation.catchUp();
      void conversation.loadMembers();
    }
  }

  /** The same object until something changes. */
  timeline(conversationId: string): Timeline {
    const shown = this.#all.get(conversationId);
    if (!shown) return EMPTY;
    return (shown.timeline ??= this.#build(conversationId, shown));
  }

  /** The timeline of the conversation has changed. */
  changed(conversationId: string): void {
    const shown = this.#all.get(conversationId);
    for (const id of settled(this.#host.outbox.of(conversationId), shown?.conversation.log)) this.#host.outbox.remove(id);
    if (shown) shown.timeline = undefined;
    this.#host.onTimeline(conversationId);
  }

  /** A message that is shown, by its key, its id or its `client_msg_id`. */
  message(conversationId: string, id: string): Message | undefined {
    const { items } = this.timeline(conversationId);
    return items.find((item): item is Message => item.kind === "message" && (item.key === id || item.messageId === id));
  }

  /** A stored message as a view shows it. */
  shown(message: StoredMessage): Message {
    return shownMessage(message, this.#host.user());
  }

  /** How many messages of others follow a number, as far as they are loaded. */
  countAfter(conversationId: string, messageSeq: number): number {
    const entries = this.get(conversationId)?.log?.entries ?? [];
    const user = this.#host.user();
    return entries.filter(
      (entry) => entry.messageSeq > messageSeq && !isEvent(entry) && entry.senderId !== user && !entry.deleteTime,
    ).length;
  }

  #add(conversationId: string): Shown {
    const { client, lastSeq, onConversation, onMembers, onPins } = this.#host;
    const conversation = new OpenConversation(conversationId, {
      client,
      lastSeq: () => lastSeq(conversationId),
      onConversation,
      onTimeline: () => this.changed(conversationId),
      onMembers: () => onMembers(conversationId),
      onPins: () => onPins(conversationId),
    });
    const shown: Shown = { conversation, view: new TimelineView(), timeline: undefined };
    this.#all.set(conversationId, shown);
    client.subscribe([`conversations/${conversationId}`]);
    void conversation.load();
    return shown;
  }

  #remove(conversationId: string, { conversation }: Shown): void {
    this.#all.delete(conversationId);
    this.#host.client.unsubscribe([`conversations/${conversationId}`]);
    conversation.close();
  }

  #build(conversationId: string, { conversation, view }: Shown): Timeline {
    const { log, hasOlder, isLoading, error, positions } = conversation;
    const outbox = this.#host.outbox.of(conversationId);
    const items = view.items({ entries: log?.entries ?? [], outbox, user: this.#host.user(), ...positions.least() });
    return { items, hasOlder, isLoading, ...(error ? { error } : {}) };
  }
}
