// What the user does to messages: shown at once, queued, and settled by the server's answer.

import type { Client } from "../client.ts";
import type { Fields } from "../connection/codec.ts";
import { PlauditError } from "../errors.ts";
import { uuid7 } from "../ids.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";
import { Sender } from "./sender.ts";
import type { Message } from "./types.ts";
import * as wire from "./wire.ts";

export interface SendOptions {
  /** The id of the message that this one replies to. */
  replyTo?: string;
  mentions?: readonly string[];
  metadata?: Readonly<Record<string, string>>;
  contentType?: "text" | "markdown";
  /** Whether the message is what the user had written as a draft: the draft ends with it. */
  clearDraft?: boolean;
}

const MAX_FORWARD_COUNT = 5; // stands for five times and more

export interface OutgoingHost {
  /** The lane of a conversation. */
  lane: (conversationId: string) => string;
  onChange: (conversationId: string) => void;
  /** A change of this number exists. */
  onAccepted: (conversationId: string, messageSeq: number) => void;
  onRefused: (entry: OutboxEntry, error: PlauditError) => void;
}

/** What of a message is sent with its content. */
export type ForwardedMessage = Pick<Message, "messageId" | "content" | "contentType" | "forwardCount">;

interface Waiting {
  resolve: () => void;
  reject: (error: PlauditError) => void;
}

export class Outgoing {
  readonly #outbox: Outbox;
  readonly #host: OutgoingHost;
  readonly #sender: Sender;
  readonly #waiting = new Map<string, Waiting>();

  constructor(client: Client, outbox: Outbox, host: OutgoingHost) {
    this.#outbox = outbox;
    this.#host = host;
    this.#sender = new Sender(client, outbox, {
      onAccepted: (entry, answer) => this.#onAccepted(entry, answer),
      onRefused: (entry, error) => this.#onRefused(entry, error),
    });
  }

  /** Sends what is queued. */
  start(): void {
    this.#sender.start();
  }

  send(place: { conversationId: string; recipientId: string }, content: string, options: SendOptions = {}): Promise<void> {
    const { replyTo = "", mentions = [], metadata = {}, contentType = "text", clearDraft = false } = options;
    const lane = place.conversationId ? this.#host.lane(place.conversationId) : `user:${place.recipientId}`;
    return this.#queue({ ...newEntry(), ...place, action: "send", lane, target: "", content, contentType, replyTo, mentions, metadata, clearDraft });
  }

  forward(conversationId: string, { messageId, content, contentType, forwardCount }: ForwardedMessage): Promise<void> {
    const count = Math.min(MAX_FORWARD_COUNT, forwardCount + 1);
    const lane = this.#host.lane(conversationId);
    return this.#queue({ ...newEntry(), conversationId, lane, content, contentType, forwardOf: messageId, forwardCount: count });
  }

  /** Whether a message that ends the draft of the conversation is not yet accepted. */
  endsDraft(conversationId: string): boolean {
    return this.#outbox.of(conversationId).some(({ clearDraft, state }) => clearDraft && state === "queued");
  }

  change(conversationId: string, action: "edit" | "delete", message: Message, content = "", options: SendOptions = {}): Promise<void> {
    const { mentions = [], metadata = {} } = options;
    const target = message.messageId || message.clientMsgId;
    const entry: OutboxEntry = {
      ...newEntry(), conversationId, action, lane: this.#host.lane(conversationId), target, content, mentions, metadata,
    };
    const refused = this.#outbox.get(target);
    if (refused?.state !== "failed") return this.#queue(entry);
    this.#changeRefused(refused, entry);
    return Promise.resolve();
  }

  retry(conversationId: string, id: string): Promise<void> {
    const entry = this.#outbox.get(id);
    if (entry?.state !== "failed") return Promise.resolve();
    const { error: _, ...rest } = entry;
    return this.#queue({ ...rest, conversationId, order: uuid7(), state: "queued" });
  }

  discard(conversationId: string, id: string): void {
    this.#outbox.remove(id);
    this.#settle(id)?.reject(new PlauditError({ code: "CANCELLED", reason: "DISCARDED" }));
    this.#host.onChange(conversationId);
  }

  #queue(entry: OutboxEntry): Promise<void> {
    const done = new Promise<void>((resolve, reject) => this.#waiting.set(entry.id, { resolve, reject }));
    done.catch(() => {}); // who does not wait for it reads the events
    this.#outbox.set(entry);
    this.#host.onChange(entry.conversationId);
    this.#sender.start();
    return done;
  }

  #onAccepted(entry: OutboxEntry, answer: Fields): void {
    const accepted = wire.accepted(answer);
    const conversationId = entry.conversationId || wire.conversationIdOf(answer);
    for (const later of this.#outbox.inLane(entry.lane)) {
      // The first message to a user has made the conversation, or found it.
      const named = later.conversationId ? later : { ...later, conversationId };
      const aimed = later.target === entry.id ? { ...named, target: accepted.messageId } : named;
      if (aimed !== later) this.#outbox.set(aimed);
    }
    if (this.#outbox.get(entry.id)) this.#outbox.set({ ...entry, conversationId, state: "accepted", accepted });
    this.#host.onAccepted(conversationId, accepted.messageSeq);
    this.#host.onChange(conversationId);
    this.#settle(entry.id)?.resolve();
  }

  // A refused message stays, for another attempt, with the changes made to it meanwhile. A refused change is undone.
  #onRefused(entry: OutboxEntry, error: PlauditError): void {
    if (entry.action === "send") {
      this.#outbox.set({ ...entry, state: "failed", error });
      for (const later of this.#outbox.inLane(entry.lane)) if (later.target === entry.id) this.#changeRefused(this.#outbox.get(entry.id), later);
    } else {
      this.#outbox.remove(entry.id);
    }
    this.#host.onChange(entry.conversationId);
    this.#host.onRefused(entry, error);
    this.#settle(entry.id)?.reject(error);
  }

  #changeRefused(refused: OutboxEntry | undefined, change: OutboxEntry): void {
    this.#outbox.remove(change.id);
    this.#settle(change.id)?.resolve();
    if (refused && change.action === "edit") this.#outbox.set({ ...written(refused), content: change.content, mentions: change.mentions });
    else if (refused) this.discard(refused.conversationId, refused.id);
    this.#host.onChange(change.conversationId);
  }

  #settle(id: string): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }
}

// What the user has changed is no longer what was forwarded.
function written({ forwardOf: _, forwardCount: __, ...entry }: OutboxEntry): OutboxEntry {
  return entry;
}

function newEntry(): OutboxEntry {
  const id = uuid7();
  return {
    id, order: id, action: "send", lane: "", conversationId: "", recipientId: "", target: "", content: "", contentType: "text", replyTo: "",
    mentions: [], metadata: {}, timestamp: Date.now(), state: "queued",
  };
}
