// What the user has written and not sent: kept over a reload, and on all devices of the user.

import type { Client } from "../client.ts";
import type { PlauditError } from "../errors.ts";
import type { ConversationList } from "./conversation_list.ts";
import type { QueueStorage } from "./outbox.ts";
import { isTemporary } from "./sender.ts";
import type { StoredDraft } from "./wire.ts";
import * as wire from "./wire.ts";

const PREFIX = "plaudit.draft.";
const SAVE_DELAY_MS = 1_000;
const RETRY_MS = 3_000;
// So long after the last key a draft of another device does not replace what is written here.
const TYPING_MS = 3_000;

export interface DraftsHost {
  client: Client;
  list: ConversationList;
  /** The device of the client; empty: it has no name. */
  device: () => string;
  /** Whether a message that ends the draft is on its way: what is written after it is stored after it. */
  isEnding: (conversationId: string) => boolean;
  onChange: () => void;
}

export class Drafts {
  readonly #host: DraftsHost;
  readonly #unsaved = new Map<string, string>();
  readonly #timers = new Map<string, ReturnType<typeof setTimeout>>();
  readonly #saving = new Set<string>();
  readonly #typed = new Map<string, number>(); // when the user wrote here last
  readonly #stored = new Map<string, number>(); // the server's time of the draft that is known
  #storage: QueueStorage | undefined;
  #prefix = PREFIX;

  constructor(host: DraftsHost) {
    this.#host = host;
  }

  /** Adds what an earlier page has not stored at the server, and keeps such drafts in the storage. */
  restore(storage: QueueStorage, user: string): void {
    this.#storage = storage;
    this.#prefix = `${PREFIX}${user}.`;
    const keys = Array.from({ length: storage.length }, (_, index) => storage.key(index) ?? "");
    for (const key of keys.filter((each) => each.startsWith(this.#prefix))) {
      const conversationId = key.slice(this.#prefix.length);
      if (this.#unsaved.has(conversationId)) continue;
      this.#unsaved.set(conversationId, storage.getItem(key) ?? "");
      this.#saveLater(conversationId);
    }
  }

  /** The user has written this; it is stored at the server at most once a second. */
  set(conversationId: string, content: string): void {
    if (content === this.#host.list.get(conversationId)?.draft) return;
    this.#typed.set(conversationId, Date.now());
    this.#write(conversationId, content);
  }

  /** The user sends what is written; the message ends the draft at the server. */
  end(conversationId: string): void {
    this.#typed.delete(conversationId);
    this.#forget(conversationId);
    this.#show(conversationId, "");
  }

  /** Another device, or the server, has changed the draft. */
  push(conversationId: string, { content, timestamp, deviceId }: StoredDraft): void {
    if (deviceId !== "" && deviceId === this.#host.device()) return;
    if (timestamp <= (this.#stored.get(conversationId) ?? 0)) return;
    this.#stored.set(conversationId, timestamp);
    if (this.#unsaved.has(conversationId)) return; // what is written here is stored next
    const known = this.#host.list.get(conversationId)?.draft ?? "";
    if (known === content) return;
    // What the user is writing now stays, and goes to the other devices.
    if (Date.now() - (this.#typed.get(conversationId) ?? -Infinity) < TYPING_MS) this.#write(conversationId, known);
    else this.#show(conversationId, content);
  }

  /** The conversation was read; what is not stored yet is shown over its draft. */
  onLoaded(conversationId: string): void {
    const content = this.#unsaved.get(conversationId) ?? (this.#host.isEnding(conversationId) ? "" : undefined);
    if (content !== undefined && content !== this.#host.list.get(conversationId)?.draft) this.#show(conversationId, content);
  }

  /** Stores at the server what is not stored yet: the page may be closed, or the user leaves the conversation. */
  flush(): void {
    for (const conversationId of [...this.#unsaved.keys()]) void this.#save(conversationId);
  }

  close(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
  }

  #write(conversationId: string, content: string): void {
    this.#unsaved.set(conversationId, content);
    try {
      this.#storage?.setItem(this.#prefix + conversationId, content);
    } catch (error) {
      console.warn("plaudit: a draft is not kept over a reload:", error); // the storage is full
    }
    this.#show(conversationId, content);
    this.#saveLater(conversationId);
  }

  #saveLater(conversationId: string, ms = SAVE_DELAY_MS): void {
    if (this.#timers.has(conversationId)) return;
    this.#timers.set(conversationId, setTimeout(() => void this.#save(conversationId), ms));
  }

  async #save(conversationId: string): Promise<void> {
    clearTimeout(this.#timers.get(conversationId));
    this.#timers.delete(conversationId);
    const content = this.#unsaved.get(conversationId);
    if (content === undefined) return;
    if (this.#saving.has(conversationId) || this.#host.isEnding(conversationId)) return this.#saveLater(conversationId);
    this.#saving.add(conversationId);
    try {
      const fields = { conversation_id: conversationId, content, device_id: this.#host.device() };
      const timestamp = wire.timestampOf(await this.#host.client.call("set_draft", fields));
      this.#stored.set(conversationId, Math.max(timestamp, this.#stored.get(conversationId) ?? 0));
      if (this.#unsaved.get(conversationId) === content) this.#forget(conversationId);
      else if (this.#unsaved.has(conversationId)) this.#saveLater(conversationId);
    } catch (error) {
      if (this.#host.client.state === "ended") return; // a later client of the same storage stores it
      if (isTemporary(error as PlauditError)) this.#saveLater(conversationId, RETRY_MS);
      else this.#forget(conversationId);
    } finally {
      this.#saving.delete(conversationId);
    }
  }

  #forget(conversationId: string): void {
    clearTimeout(this.#timers.get(conversationId));
    this.#timers.delete(conversationId);
    this.#unsaved.delete(conversationId);
    this.#storage?.removeItem(this.#prefix + conversationId);
  }

  #show(conversationId: string, draft: string): void {
    this.#host.list.patch(conversationId, { draft });
    this.#host.onChange();
  }
}
