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

interface Pages {
  readonly archived: boolean;
  /** The token of the page after those that are loaded; empty: there is none, or none is loaded. */
  next: string;
  loaded: number;
  loading: Promise<void> | undefined;
}

export class Directory {
  readonly #client: Client;
  readonly #list: ConversationList;
  readonly #onLoaded: (conversations: Conversation[]) => void;
  readonly #stale = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #inbox: Pages = { archived: false, next: "", loaded: 0, loading: undefined };
  readonly #archive: Pages = { archived: true, next: "", loaded: 0, loading: undefined };

  /** `onLoaded(conversations)`: these were read and are in the list. */
  constructor(client: Client, list: ConversationList, onLoaded: (conversations: Conversation[]) => void) {
    this.#client = client;
    this.#list = list;
    this.#onLoaded = onLoaded;
  }

  get hasMore(): boolean {
    return this.#inbox.next !== "";
  }

  get hasMoreArchived(): boolean {
    return this.#archive.next !== "";
  }

  /** Reads as many pages as there were before, at least one; of the archived ones, too, if there were any. */
  async load(): Promise<void> {
    await Promise.all([this.#reload(this.#inbox), this.#archive.loaded ? this.#reload(this.#archive) : undefined]);
  }

  loadMore(): Promise<void> {
    return this.#loadNext(this.#inbox);
  }

  loadArchived(): Promise<void> {
    return this.#loadNext(this.#archive);
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

  async #loadNext(pages: Pages): Promise<void> {
    await pages.loading;
    if (pages.loaded && !pages.next) return;
    await this.#loadPage(pages, pages.next);
    pages.loaded += 1;
  }

  #reload(pages: Pages): Promise<void> {
    return (pages.loading ??= this.#loadPages(pages).finally(() => (pages.loading = undefined)));
  }

  async #loadPages(pages: Pages): Promise<void> {
    const shown = new Set((pages.archived ? this.#list.archived : this.#list.all).map(({ conversationId }) => conversationId));
    const count = Math.max(1, pages.loaded);
    pages.next = "";
    for (pages.loaded = 0; pages.loaded < count && (pages.loaded === 0 || pages.next); pages.loaded += 1) {
      for (const id of await this.#loadPage(pages, pages.next)) shown.delete(id);
    }
    // Those that are missing have moved, to later pages or to the other list.
    for (const conversationId of shown) this.readLater(conversationId);
  }

  async #loadPage(pages: Pages, token: string): Promise<string[]> {
    const fields = { page_size: PAGE, page_token: token, archived: pages.archived };
    const answer = await this.#client.call("list_conversations", fields);
    const conversations = wire.conversations(answer);
    for (const conversation of conversations) {
      if (!this.#list.load(conversation)) this.readLater(conversation.conversationId);
    }
    pages.next = wire.nextPage(answer);
    this.#onLoaded(conversations);
    return conversations.map(({ conversationId }) => conversationId);
  }
}
