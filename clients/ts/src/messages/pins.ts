// The pinned messages of an open conversation, read again when they may have changed.

import type { Client } from "../client.ts";
import type { PinnedMessage } from "./types.ts";
import * as wire from "./wire.ts";

export class Pins {
  readonly #client: Client;
  readonly #id: string;
  readonly #onChange: () => void;
  #all: readonly PinnedMessage[] = [];
  #isLoading = false;
  #isStale = false;

  constructor(client: Client, conversationId: string, onChange: () => void) {
    this.#client = client;
    this.#id = conversationId;
    this.#onChange = onChange;
  }

  /** The latest pin first. */
  get all(): readonly PinnedMessage[] {
    return this.#all;
  }

  /** Reads them; once more where they have changed meanwhile. */
  async load(): Promise<void> {
    this.#isStale = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    try {
      while (this.#isStale) {
        this.#isStale = false;
        this.#set(wire.pinnedMessages(await this.#client.call("list_pinned_messages", { conversation_id: this.#id })));
      }
    } catch {
      // A former member does not get them; after a lost connection they are read with the next session.
    } finally {
      this.#isLoading = false;
    }
  }

  /** Messages with a smaller number have disappeared. */
  hideBefore(visibleFromSeq: number): void {
    const left = this.#all.filter(({ message }) => message.messageSeq >= visibleFromSeq);
    if (left.length < this.#all.length) this.#set(left);
  }

  #set(pins: readonly PinnedMessage[]): void {
    this.#all = pins;
    this.#onChange();
  }
}
