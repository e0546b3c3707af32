// The reactions on this page: a ledger per target, kept true by a connection.
//
// Events: "change" {target, cause}, "refused" {target, emoji, error}, "seen" {target, recent}, "own" {target, emoji, on},
// "measured" {ack, screen} in milliseconds from a tap.

import { uuid7 } from "../net/ids.js";
import { Ledger } from "./ledger.js";

const SINGLE_CHOICE = new Set(["posts", "comments"]);
const HOLD_MS = 250;

/** Emoji as the server names them: without variation selectors. */
export const canonical = (emoji) => emoji.replaceAll("\uFE0F", "");

export class Reactions extends EventTarget {
  #connection;
  #ledgers = new Map();
  #busy = new Set();
  #watches = new Map();

  constructor(connection, targets) {
    super();
    this.#connection = connection;
    for (const target of targets) {
      this.#ledgers.set(target, new Ledger({ single: SINGLE_CHOICE.has(target.split("/")[0]) }));
    }
    connection.addEventListener("welcome", ({ detail }) => this.#welcome(detail.frame.user, detail.complete));
    connection.addEventListener("push", ({ detail }) => this.#push(detail.frame));
  }

  get targets() {
    return [...this.#ledgers.keys()];
  }

  of(target) {
    return this.#ledgers.get(target);
  }

  /** The person taps an emoji: shown at once, asked for, taken back where the server refuses. */
  tap(target, emoji) {
    const slot = this.of(target).tap(canonical(emoji));
    this.#changed(target, "tap");
    setTimeout(() => this.#release(target), HOLD_MS);
    return this.#reconcile(target, slot, performance.now());
  }

  /** Who reacted, latest first: `{reactors, next_page_token}`; `emoji` empty for all. */
  reactors(target, { emoji = "", limit = 20, cursor = "" } = {}) {
    const query = { target, emoji, page_size: limit, page_token: cursor };
    return this.#connection.call("list_reactors", query, { patience: 8_000 });
  }

  async #reconcile(target, slot, tapped) {
    const key = `${target} ${slot}`;
    if (this.#busy.has(key)) return;
    this.#busy.add(key);
    const ledger = this.of(target);
    try {
      for (let request = ledger.request(slot); request; request = ledger.request(slot)) {
        const answer = await this.#connection.call("set_reaction", { target, ...request, op_id: uuid7() });
        const version = BigInt(answer.version);
        ledger.answered({ emoji: request.emoji, on: answer.on, version, reactions: answer.reactions });
        this.#measure(target, version, tapped);
        this.#emit("own", { target, emoji: request.emoji, on: answer.on });
        this.#changed(target, "ack");
      }
    } catch (error) {
      ledger.refused(slot);
      this.#emit("refused", { target, emoji: slot, error });
    } finally {
      this.#busy.delete(key);
      this.#changed(target, "ack");
    }
  }

  #welcome(user, complete) {
    this.#connection.subscribe([...this.targets, `users/${user}`]);
    if (!complete) this.#loadOwn();
  }

  async #loadOwn() {
    try {
      const answer = await this.#connection.call("get_own_reactions", { targets: this.targets });
      for (const { target, emojis, version } of answer.own_reactions) {
        this.of(target)?.ownKnown({ emojis, version: BigInt(version) });
        this.#changed(target, "own");
      }
    } catch (error) {
      console.warn("plaudit: own reactions are not known:", error.message);
    }
  }

  #push(frame) {
    if (frame.type === "own_reaction_update") {
      this.of(frame.target)?.ownChanged({ ...frame, version: BigInt(frame.version) });
      if (this.of(frame.target)) this.#changed(frame.target, "own");
    }
    if (frame.type !== "reaction_update" || !this.#ledgers.has(frame.topic)) return;
    const version = BigInt(frame.version);
    if (!this.of(frame.topic).updated({ ...frame, version })) return;
    this.#arrived(frame.topic, version);
    this.#emit("seen", { target: frame.topic, recent: frame.recent ?? [] });
    this.#changed(frame.topic, "push");
  }

  // A tap is on every screen once the push that contains it is painted; ours is one of those screens.
  #measure(target, version, tapped) {
    const ack = performance.now() - tapped;
    this.#emit("measured", { ack });
    const watch = this.#watches.get(target) ?? {};
    this.#watches.set(target, { ...watch, version, tapped });
    if (watch.pushed >= version) this.#arrived(target, watch.pushed);
  }

  #arrived(target, version) {
    const watch = this.#watches.get(target);
    if (watch?.version && version >= watch.version) {
      this.#watches.delete(target);
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => this.#emit("measured", { screen: performance.now() - watch.tapped });
        port2.postMessage(null); // runs right after the frame is painted
      });
    } else {
      this.#watches.set(target, { ...watch, pushed: version });
    }
  }

  #release(target) {
    this.of(target).release();
    this.#changed(target, "push");
  }

  #changed(target, cause) {
    this.#emit("change", { target, cause });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
