// Says to the server what was received and read: only the last position of a conversation, one call at a time.

import type { Client } from "../client.ts";
import type { Fields } from "../connection/codec.ts";
import type { PlauditError } from "../errors.ts";

const DELIVERED_DELAY_MS = 300;

interface Position {
  messageId: string;
  messageSeq: number;
}

export class ReadPositions {
  readonly #client: Client;
  readonly #onRefused: (conversationId: string, error: PlauditError) => void;
  readonly #waiting = new Map<string, { type: string; fields: Fields; messageSeq: number }>();
  readonly #busy = new Set<string>();
  readonly #delivered = new Map<string, number>();

  constructor(client: Client, onRefused: (conversationId: string, error: PlauditError) => void) {
    this.#client = client;
    this.#onRefused = onRefused;
  }

  /** The user has read up to a message. */
  mark(conversationId: string, { messageId, messageSeq }: Position, isPrivate: boolean): void {
    this.#delivered.set(conversationId, Math.max(messageSeq, this.#delivered.get(conversationId) ?? 0));
    const fields = { conversation_id: conversationId, message_id: messageId, private: isPrivate };
    this.#say(`read ${conversationId}`, "mark_read", fields, messageSeq, 0);
  }

  /** This device has received the messages up to one. */
  deliver(conversationId: string, { messageId, messageSeq }: Position): void {
    if (messageSeq <= (this.#delivered.get(conversationId) ?? 0)) return;
    this.#delivered.set(conversationId, messageSeq);
    const fields = { conversation_id: conversationId, message_id: messageId };
    this.#say(`delivered ${conversationId}`, "mark_delivered", fields, messageSeq, DELIVERED_DELAY_MS);
  }

  #say(key: string, type: string, fields: Fields, messageSeq: number, delayMs: number): void {
    if (messageSeq < (this.#waiting.get(key)?.messageSeq ?? 0)) return;
    this.#waiting.set(key, { type, fields, messageSeq });
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    setTimeout(() => void this.#run(key), delayMs);
  }

  async #run(key: string): Promise<void> {
    for (let next = this.#waiting.get(key); next; next = this.#waiting.get(key)) {
      this.#waiting.delete(key);
      try {
        await this.#client.call(next.type, next.fields);
      } catch (error) {
        this.#onError(key, next, error as PlauditError);
      }
    }
    this.#busy.delete(key);
  }

  #onError(key: string, position: { type: string; fields: Fields; messageSeq: number }, error: PlauditError): void {
    if (this.#client.state === "ended") return;
    const isTemporary = error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED" || error.code === "RESOURCE_EXHAUSTED";
    if (isTemporary && !this.#waiting.has(key)) this.#waiting.set(key, position);
    // What was received is said again with the next message.
    else if (!isTemporary && position.type === "mark_read") this.#onRefused(String(position.fields.conversation_id), error);
  }
}
