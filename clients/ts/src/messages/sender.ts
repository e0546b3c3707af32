// Sends what is in the outbox: the entries of one lane one after the other, so that they arrive in order.

import type { Client } from "../client.ts";
import { backoffDelay } from "../connection/backoff.ts";
import type { Fields } from "../connection/codec.ts";
import { PlauditError } from "../errors.ts";
import type { Outbox, OutboxEntry } from "./outbox.ts";

const CALL_TIMEOUT_MS = 20_000;

export interface SenderHost {
  /** The server has accepted the entry. */
  onAccepted: (entry: OutboxEntry, answer: Fields) => void;
  /** The server has refused the entry, and would again. */
  onRefused: (entry: OutboxEntry, error: PlauditError) => void;
}

export class Sender {
  readonly #client: Client;
  readonly #outbox: Outbox;
  readonly #host: SenderHost;
  readonly #busy = new Set<string>();

  constructor(client: Client, outbox: Outbox, host: SenderHost) {
    this.#client = client;
    this.#outbox = outbox;
    this.#host = host;
  }

  /** Sends what is queued; returns at once. */
  start(): void {
    for (const lane of this.#outbox.lanes()) if (!this.#busy.has(lane)) void this.#run(lane);
  }

  async #run(lane: string): Promise<void> {
    this.#busy.add(lane);
    let attempt = 0;
    for (let entry = this.#outbox.head(lane); entry; entry = this.#outbox.head(lane)) {
      try {
        const answer = await this.#send(entry);
        attempt = 0;
        this.#host.onAccepted(entry, answer);
      } catch (error) {
        const refusal = error as PlauditError;
        if (this.#client.state === "ended") break; // a later client of the same storage sends the rest
        if (isTemporary(refusal)) await delay(backoffDelay(attempt++, { minimum: refusal.retryAfterMs }));
        else this.#host.onRefused(entry, refusal);
      }
    }
    this.#busy.delete(lane);
  }

  #send(entry: OutboxEntry): Promise<Fields> {
    const options = { timeout: CALL_TIMEOUT_MS };
    if (entry.action === "send") return this.#client.call("send_message", sendFields(entry), options);
    const { conversationId: conversation_id, target: message_id, content, mentions, metadata, id: op_id } = entry;
    const subject = { conversation_id, message_id, op_id };
    if (entry.action === "delete") return this.#client.call("delete_message", subject, options);
    return this.#client.call("edit_message", { ...subject, content, mentions, metadata }, options);
  }
}

function sendFields(entry: OutboxEntry): Fields {
  const { id, conversationId, recipientId, content, contentType, replyTo, mentions, metadata, forwardOf, clearDraft } = entry;
  const place = conversationId ? { conversation_id: conversationId } : { recipient_id: recipientId };
  if (forwardOf) return { ...place, forward_of: forwardOf, client_msg_id: id };
  return {
    ...place, content, content_type: contentType, client_msg_id: id, reply_to: replyTo, mentions, metadata,
    ...(clearDraft ? { clear_draft: true } : {}),
  };
}

/** Whether another attempt may help: an entry is sent again for as long as it takes, and its id makes that safe. */
export function isTemporary({ code, reason, retryAfterMs }: PlauditError): boolean {
  if (code === "RESOURCE_EXHAUSTED") return reason === "RATE_LIMITED" || retryAfterMs > 0;
  return code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" || code === "UNAUTHENTICATED";
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
