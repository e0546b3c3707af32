// Says to the server up to where the user has read: the last position of a conversation, at most once a second.

import type { Client } from "../client.ts";
import type { PlauditError } from "../errors.ts";

const INTERVAL_MS = 1_000;

export interface ReadPosition {
  readonly messageId: string;
  readonly messageSeq: number;
  /** The other members do not see it. */
  readonly isPrivate: boolean;
}

export class ReadPositions {
  readonly #client: Client;
  readonly #onRefused: (conversationId: string, error: PlauditError) => void;
  readonly #waiting = new Map<string, ReadPosition>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>(); // of conversations whose last call is younger
  #isClosed = false;

  constructor(client: Client, onRefused: (conversationId: string, error: PlauditError) => void) {
    this.#client = client;
    this.#onRefused = onRefused;
  }

  /** The user has read up to a message. */
  mark(conversationId: string, position: ReadPosition): void {
    if (position.messageSeq < (this.#waiting.get(conversationId)?.messageSeq ?? 0)) return;
    this.#waiting.set(conversationId, position);
    if (!this.#timers.has(conversationId)) this.#say(conversationId);
  }

  /** Says at once what waits: there may be no later time. */
  flush(): void {
    for (const conversationId of [...this.#waiting.keys()]) this.#say(conversationId);
  }

  /** As `flush`, and nothing is said again. */
  close(): void {
    this.#isClosed = true;
    this.flush();
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #say(conversationId: string): void {
    const position = this.#waiting.get(conversationId);
    if (!position) return;
    this.#waiting.delete(conversationId);
    this.#sayLater(conversationId);
    const { messageId, isPrivate } = position;
    const call = this.#client.call("mark_read", { conversation_id: conversationId, message_id: messageId, private: isPrivate });
    call.catch((error: PlauditError) => this.#onError(conversationId, position, error));
  }

  #sayLater(conversationId: string): void {
    clearTimeout(this.#timers.get(conversationId));
    const say = () => {
      this.#timers.delete(conversationId);
      this.#say(conversationId);
    };
    this.#timers.set(conversationId, setTimeout(say, INTERVAL_MS));
  }

  #onError(conversationId: string, position: ReadPosition, error: PlauditError): void {
    if (this.#isClosed || this.#client.state === "ended") return;
    const isTemporary = error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED" || error.code === "RESOURCE_EXHAUSTED";
    if (!isTemporary) {
      this.#onRefused(conversationId, error);
    } else if (!this.#waiting.has(conversationId)) {
      // An earlier position than the server has changes nothing there.
      this.#waiting.set(conversationId, position);
      if (!this.#timers.has(conversationId)) this.#sayLater(conversationId);
    }
  }
}
