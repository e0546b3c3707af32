// What a device has not received when its session begins: pushed as messages, while the list of conversations is loaded.

import type { Client } from "../client.ts";
import type { PlauditError } from "../errors.ts";
import type { ConversationList } from "./conversation_list.ts";
import type { Directory } from "./directory.ts";
import type { Change } from "./types.ts";

export class Backlog {
  readonly #client: Client;
  readonly #list: ConversationList;
  readonly #directory: Directory;
  readonly #unlisted = new Map<string, Change>(); // the last one of each conversation
  #incomplete: readonly string[] | undefined; // known once all is pushed
  #isListLoaded = false;

  constructor(client: Client, list: ConversationList, directory: Directory) {
    this.#client = client;
    this.#list = list;
    this.#directory = directory;
  }

  /** A session begins that may have missed pushes; the list is loaded again. */
  begin(): void {
    this.#unlisted.clear();
    this.#incomplete = undefined;
    this.#isListLoaded = false;
  }

  /** A message that cannot be added to the list: the conversation is not there yet, or changes before it were not pushed. */
  add(conversationId: string, change: Change): void {
    this.#unlisted.set(conversationId, change);
  }

  onListLoaded(): void {
    this.#isListLoaded = true;
    this.#finish();
  }

  onDone(incomplete: readonly string[]): void {
    this.#incomplete = incomplete;
    this.#finish();
  }

  #finish(): void {
    if (!this.#isListLoaded || !this.#incomplete) return;
    // A conversation that belongs to later pages of the list is not read by itself.
    const last = this.#directory.hasMore ? this.#list.all.at(-1) : undefined;
    const oldest = last ? Date.parse(last.updateTime) : 0;
    for (const [conversationId, { messageSeq, timestamp }] of this.#unlisted) {
      const isListed = (this.#list.get(conversationId)?.lastMessageSeq ?? 0) >= messageSeq;
      if (!isListed && timestamp >= oldest) this.#directory.readLater(conversationId);
    }
    this.#unlisted.clear();
    for (const conversationId of this.#incomplete) void this.#deliver(conversationId);
    this.#incomplete = undefined;
  }

  // More messages than are pushed: history has them, and acknowledgements of pushes do not count.
  async #deliver(conversationId: string): Promise<void> {
    try {
      if (!this.#list.get(conversationId)) await this.#directory.read(conversationId);
      const messageId = this.#list.get(conversationId)?.lastMessage?.messageId;
      if (messageId) await this.#client.call("mark_delivered", { conversation_id: conversationId, message_id: messageId });
    } catch (error) {
      const { code, reason, message } = error as PlauditError;
      // `backlog_done` of the next session names the conversation again.
      if (code !== "NOT_FOUND" && reason !== "CONNECTION_ENDED") console.warn("plaudit: a delivery could not be reported:", message);
    }
  }
}
