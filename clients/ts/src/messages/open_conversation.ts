// One conversation that a view shows: loads its pages, fills gaps, and keeps its members and their receipts.

import type { Client } from "../client.ts";
import type { Fields } from "../connection/codec.ts";
import { PlauditError } from "../errors.ts";
import { ChangesLog } from "./changes_log.ts";
import { Pins } from "./pins.ts";
import { Positions } from "./positions.ts";
import type { Change, Member, Receipt } from "./types.ts";
import * as wire from "./wire.ts";

const PAGE = 50;
const MAX_PAGE = 200;
const MAX_EVENT_PAGES = 4;
const MAX_CATCH_UP = 1_000;
// Answers and pushes overtake each other; a change is fetched only where it does not arrive by itself.
const GAP_DELAY_MS = 250;
const EXPECT_DELAY_MS = 1_000;
const RETRY_MS = 2_000;

export interface OpenConversationHost {
  client: Client;
  /** The number of the last change that is known; undefined: the conversation is not in the list. */
  lastSeq: () => number | undefined;
  /** The conversation was read. */
  onConversation: (fields: Fields) => void;
  onTimeline: () => void;
  onMembers: () => void;
  onPins: () => void;
}

export class OpenConversation {
  /** How many views show it. */
  views = 0;
  isLoading = false;
  error: PlauditError | undefined;
  members: readonly Member[] = [];
  readonly positions = new Positions();
  readonly pins: Pins;
  readonly #id: string;
  readonly #host: OpenConversationHost;
  #log: ChangesLog | undefined;
  #early: Change[] = [];
  #olderToken = "";
  #oldestSeq = 0;
  #visibleFromSeq = 0;
  #isFilling = false;
  #expectedSeq = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  constructor(conversationId: string, host: OpenConversationHost) {
    this.#id = conversationId;
    this.#host = host;
    this.pins = new Pins(host.client, conversationId, () => !this.#isClosed && host.onPins());
  }

  get log(): ChangesLog | undefined {
    return this.#log;
  }

  get hasOlder(): boolean {
    return this.#olderToken !== "";
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  /** Loads the latest page, the members and their receipts. */
  async load(): Promise<void> {
    void this.pins.load();
    await this.#loading(async () => {
      const appliedSeq = this.#host.lastSeq() ?? (await this.#readLastSeq());
      // Read after that number was: the messages show all changes up to it.
      const answer = await this.#call("list_messages", { page_size: PAGE });
      const messages = wire.messages(answer);
      const log = new ChangesLog(this.#id, appliedSeq);
      log.hideBefore(this.#visibleFromSeq);
      log.prepend(messages.filter(({ messageSeq }) => messageSeq <= appliedSeq));
      this.#log = log;
      this.#olderToken = wire.olderPage(answer);
      this.#oldestSeq = appliedSeq + 1;
      for (const change of [...messages.map(wire.sentChange), ...this.#early.splice(0)]) log.push(change);
      this.#host.onTimeline();
      await this.#loadEvents(messages[0]?.messageSeq);
    });
    if (this.#isIncomplete) this.#fillLater();
    await this.loadMembers();
  }

  /** Loads the page before the oldest one. */
  async loadOlder(size: number): Promise<void> {
    if (this.isLoading || !this.#olderToken) return;
    await this.#loading(async () => {
      const answer = await this.#call("list_messages", { before: this.#olderToken, page_size: Math.min(size, MAX_PAGE) });
      const messages = wire.messages(answer);
      this.#log?.prepend(messages);
      this.#olderToken = wire.olderPage(answer);
      await this.#loadEvents(messages[0]?.messageSeq);
    });
  }

  /** Loads the members and up to what they have received; a channel has no receipts. */
  async loadMembers(): Promise<void> {
    try {
      const members = wire.members(await this.#call("list_members", {}));
      const receipts = await this.#loadReceipts();
      this.members = members;
      this.positions.load(members, receipts);
      this.#host.onMembers();
      this.#host.onTimeline();
    } catch (error) {
      warn("members could not be loaded", error);
    }
  }

  push(change: Change): void {
    if (!this.#log) {
      this.#early.push(change);
      return;
    }
    this.#log.push(change);
    if (this.#isIncomplete) this.#fillLater();
    if (change.userIds.length) void this.loadMembers();
    if (wire.changesPins(change)) void this.pins.load();
    this.#host.onTimeline();
  }

  /** Messages with a smaller number have disappeared. */
  hideBefore(visibleFromSeq: number): void {
    this.#visibleFromSeq = Math.max(this.#visibleFromSeq, visibleFromSeq);
    this.#log?.hideBefore(this.#visibleFromSeq);
    this.pins.hideBefore(this.#visibleFromSeq);
    this.#host.onTimeline();
  }

  pushReceipt(receipt: Receipt): void {
    if (this.positions.push(receipt)) this.#host.onTimeline();
  }

  /** A change of this number exists: it is fetched where it does not arrive by itself. */
  expect(seq: number): void {
    this.#expectedSeq = Math.max(this.#expectedSeq, seq);
    if (this.#isIncomplete) this.#fillLater(EXPECT_DELAY_MS);
  }

  /** Changes may have been missed: fetches those after the last one that is applied, or the latest page where they are many. */
  async catchUp(): Promise<void> {
    if (!this.#log) {
      if (!this.isLoading) await this.load();
      return;
    }
    if ((this.#host.lastSeq() ?? 0) - this.#log.appliedSeq > MAX_CATCH_UP) await this.load();
    else await this.#fill();
  }

  get #isIncomplete(): boolean {
    return this.#log !== undefined && (this.#log.hasGap || this.#log.appliedSeq < this.#expectedSeq);
  }

  #fillLater(ms = GAP_DELAY_MS): void {
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#isIncomplete && void this.#fill(), ms);
  }

  async #fill(): Promise<void> {
    const log = this.#log;
    if (!log || this.#isFilling) return;
    this.#isFilling = true;
    try {
      for (let lastSeq = Infinity; log.appliedSeq < lastSeq; ) {
        const answer = await this.#call("list_changes", { after_seq: log.appliedSeq, page_size: MAX_PAGE });
        const changes = wire.changes(answer);
        lastSeq = wire.lastSeqOf(answer);
        log.fill(changes, lastSeq);
        if (changes.some(wire.changesPins)) void this.pins.load();
        this.hideBefore(wire.visibleFromOf(answer));
        this.#host.onTimeline();
      }
    } catch (error) {
      warn("changes could not be loaded", error);
      this.#fillLater(RETRY_MS);
    } finally {
      this.#isFilling = false;
    }
  }

  // Messages alone have pages; the events between them are read by their numbers. Where edits make that many pages, the
  // events are left out.
  async #loadEvents(firstSeq: number | undefined): Promise<void> {
    const before = this.#oldestSeq;
    this.#oldestSeq = this.#olderToken && firstSeq ? Math.min(firstSeq, before) : 1;
    let afterSeq = this.#oldestSeq - 1;
    for (let page = 0; page < MAX_EVENT_PAGES && afterSeq + 1 < before; page += 1) {
      const answer = await this.#call("list_changes", { after_seq: afterSeq, page_size: Math.min(MAX_PAGE, before - 1 - afterSeq) });
      const changes = wire.changes(answer).filter(({ messageSeq }) => messageSeq < before);
      this.#log?.prependEvents(changes);
      if (changes.length === 0) return;
      afterSeq = changes[changes.length - 1]!.messageSeq;
    }
  }

  async #readLastSeq(): Promise<number> {
    const answer = await this.#call("get_conversation", {});
    const fields = answer.conversation as Fields;
    this.#host.onConversation(fields);
    return wire.lastSeqOf(fields);
  }

  async #loadReceipts(): Promise<Receipt[]> {
    const receipts: Receipt[] = [];
    let token = "";
    do {
      let answer: Fields;
      try {
        answer = await this.#call("list_receipts", { page_token: token });
      } catch (error) {
        if ((error as PlauditError).reason === "NO_RECEIPTS") return [];
        throw error;
      }
      receipts.push(...wire.receipts(answer));
      token = wire.nextPage(answer);
    } while (token);
    return receipts;
  }

  async #loading(work: () => Promise<void>): Promise<void> {
    if (this.isLoading) return;
    this.isLoading = true;
    this.error = undefined;
    this.#host.onTimeline();
    try {
      await work();
    } catch (error) {
      if (!(error instanceof PlauditError)) throw error;
      this.error = error;
    } finally {
      this.isLoading = false;
      this.#host.onTimeline();
    }
  }

  #call(type: string, fields: Fields): Promise<Fields> {
    return this.#host.client.call(type, { conversation_id: this.#id, ...fields });
  }
}

function warn(what: string, error: unknown): void {
  const { code, reason, message } = error as PlauditError;
  // A user who is no longer a member does not get them.
  if (code !== "NOT_FOUND" && reason !== "CONNECTION_ENDED") console.warn(`plaudit: ${what}:`, message);
}
