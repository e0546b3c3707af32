// Loads the list of conversations, and reads again those whose changes were missed.

import type { Client } from "../client.ts";
import type { Fields } from "../connection/codec.ts";
import type { PlauditError } from "../errors.ts";
import type { ConversationList } from "./conversation_list.ts";
import type { Conversation } from "./types.ts";
import * as wire from "./wire.ts";

const PAGE = 100;
// A missed change may still arrive by itself.
const STALE_DELAY_MS = 250;
const RETRY_MS = 2_000;

export class Directory {
  readonly #client: Client;
  readonly #list: ConversationList;
  readonly #onLoaded: (conversations: Conversation[]) => void;
  readonly #stale = new Map<string, ReturnType<typeof setTimeout>>();
  #nextPage = "";
  #pages = 1;
  #loading: Promise<void> | undefined;

  /** `onLoaded(conversations)`: these were read and are in the list. */
  constructor(client: Client, list: ConversationList, onLoaded: (conversations: Conversation[]) => void) {
    this.#client = client;
    this.#list = list;
    this.#onLoaded = onLoaded;
  }

  get hasMore(): boolean {
    return this.#nextPage !== "";
  }

  /** Reads as many pages as there were before, at least one. */
  load(): Promise<void> {
    return (this.#loading ??= this.#loadPages().finally(() => (this.#loading = undefined)));
  }

  async loadMore(): Promise<void> {
    await this.#loading;
    if (!this.#nextPage) return;
    await this.#loadPage(this.#nextPage);
    this.#pages += 1;
  }

  /** The conversation must be read again, unless what is missing arrives soon. */
  readLater(conversationId: string, ms = STALE_DELAY_MS): void {
    if (this.#stale.has(conversationId)) return;
    this.#stale.set(conversationId, setTimeout(() => void this.#read(conversationId), ms));
  }

  /** Reads a conversation now. */
  async read(conversationId: string): Promise<void> {
    const answer = await this.#client.call("get_conversation", { conversation_id: conversationId });
    this.add(answer.conversation as Fields);
  }

  /** A conversation that an answer has brought. */
  add(fields: Fields): Conversation {
    const conversation = wire.conversation(fields);
    if (!this.#list.load(conversation)) this.readLater(conversation.conversationId);
    this.#onLoaded([conversation]);
    return conversation;
  }

  close(): void {
    for (const timer of this.#stale.values()) clearTimeout(timer);
    this.#stale.clear();
  }

  async #read(conversationId: string): Promise<void> {
    this.#stale.delete(conversationId);
    try {
      await this.read(conversationId);
    } catch (error) {
      const { code, reason } = error as PlauditError;
      if (code === "NOT_FOUND") this.#list.remove(conversationId);
      else if (reason !== "CONNECTION_ENDED") this.readLater(conversationId, RETRY_MS);
    }
  }

  async #loadPages(): Promise<void> {
    let token = "";
    for (let page = 0; page < this.#pages && (page === 0 || token); page += 1) token = await this.#loadPage(token);
  }

  async #loadPage(token: string): Promise<string> {
    const answer = await this.#client.call("list_conversations", { page_size: PAGE, page_token: token });
    const conversations = wire.conversations(answer);
    for (const conversation of conversations) {
      if (!this.#list.load(conversation)) this.readLater(conversation.conversationId);
    }
    this.#nextPage = wire.nextPage(answer);
    this.#onLoaded(conversations);
    return this.#nextPage;
  }
}
