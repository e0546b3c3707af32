// The reactions of all targets on the page, kept up to date by a connection.
//
// Events: "change" {target, cause}, "refused" {target, emoji, error}, "pushed" {target, recent}, "own" {target, emoji, on},
// "latency" {saved} or {shown} in milliseconds from a tap.

import { uuid7 } from "../vendor/plaudit-client.js";
import { TargetReactions } from "./target_reactions.js";

const SINGLE_CHOICE = new Set(["posts", "comments"]);
const MAX_DEFER_MS = 250;
const LIST_TIMEOUT_MS = 8_000;

/** Emoji as the server names them: without variation selectors. */
export const canonical = (emoji) => emoji.replaceAll("\uFE0F", "");

export class Reactions extends EventTarget {
  #connection;
  #targets = new Map();
  #slotsInFlight = new Set();
  #posts;
  #measured = new Map(); // target to the tap that is measured, or to the newest pushed version
  #ownTopic = "";
  #isOwnLoaded = false;

  constructor(connection, targets) {
    super();
    this.#connection = connection;
    this.#posts = targets;
    for (const target of targets) this.#add(target);
    connection.addEventListener("welcome", ({ detail }) => this.#onWelcome(detail.frame.user, detail.complete));
    connection.addEventListener("subscribed", ({ detail }) => this.#onSubscribed(detail.topics));
    connection.addEventListener("push", ({ detail }) => this.#onPush(detail.frame));
  }

  get targets() {
    return [...this.#targets.keys()];
  }

  of(target) {
    return this.#targets.get(target);
  }

  /** Keeps the reactions of messages up to date, too: their updates come on the topic of the conversation. */
  watch(targets) {
    const added = targets.filter((target) => !this.#targets.has(target));
    if (!added.length) return;
    for (const target of added) this.#add(target);
    this.#loadCounts(added);
    if (this.#isOwnLoaded) this.#loadOwn(added);
  }

  /** The opposite of `watch`. */
  unwatch(targets) {
    for (const target of targets) this.#targets.delete(target);
  }

  /** The user taps an emoji: it is shown at once, sent, and removed again where the server refuses it. */
  tap(target, emoji) {
    const slot = this.of(target).tap(canonical(emoji));
    this.#emitChange(target, "tap");
    setTimeout(() => this.#applyDeferred(target), MAX_DEFER_MS);
    return this.#sendChanges(target, slot, performance.now());
  }

  /** The users who reacted, latest first: `{reactors, next_page_token}`; `emoji` empty for all. */
  reactors(target, { emoji = "", limit = 20, cursor = "" } = {}) {
    const query = { target, emoji, page_size: limit, page_token: cursor };
    return this.#connection.call("list_reactors", query, { timeout: LIST_TIMEOUT_MS });
  }

  async #sendChanges(target, slot, tappedAt) {
    const key = `${target} ${slot}`;
    if (this.#slotsInFlight.has(key)) return;
    this.#slotsInFlight.add(key);
    const reactions = this.of(target);
    try {
      for (let change = reactions.nextChange(slot); change; change = reactions.nextChange(slot)) {
        const answer = await this.#connection.call("set_reaction", { target, ...change, op_id: uuid7() });
        const version = BigInt(answer.version);
        reactions.onAnswer({ emoji: change.emoji, on: answer.on, version, reactions: answer.reactions });
        this.#measureAnswer(target, version, tappedAt);
        this.#emit("own", { target, emoji: change.emoji, on: answer.on });
        this.#emitChange(target, "ack");
      }
    } catch (error) {
      reactions.onRefused(slot);
      this.#emit("refused", { target, emoji: slot, error });
    } finally {
      this.#slotsInFlight.delete(key);
      this.#emitChange(target, "ack");
    }
  }

  #onWelcome(user, isComplete) {
    this.#ownTopic = `users/${user}`;
    this.#isOwnLoaded &&= isComplete;
    this.#connection.subscribe([...this.#posts, this.#ownTopic]);
  }

  // A change of this user before the subscription may not be pushed: a state that is loaded now contains it.
  #onSubscribed(topics) {
    const messages = this.targets.filter((target) => !this.#posts.includes(target));
    if (messages.length && topics.some((topic) => topic.startsWith("conversations/"))) this.#loadCounts(messages);
    if (this.#isOwnLoaded || !topics.includes(this.#ownTopic)) return;
    this.#isOwnLoaded = true;
    this.#loadOwn(this.targets);
  }

  async #loadOwn(targets) {
    try {
      const answer = await this.#connection.call("get_own_reactions", { targets });
      for (const { target, emojis, version } of answer.own_reactions) {
        this.of(target)?.onOwnLoaded({ emojis, version: BigInt(version) });
        this.#emitChange(target, "own");
      }
    } catch (error) {
      this.#isOwnLoaded = false;
      console.warn("plaudit: the user's reactions could not be loaded:", error.message);
    }
  }

  async #loadCounts(targets) {
    try {
      const answer = await this.#connection.call("get_counts", { targets });
      for (const { target, version, reactions } of answer.counts) {
        if (this.of(target)?.onCounts({ version: BigInt(version), reactions })) this.#emitChange(target, "load");
      }
    } catch (error) {
      console.warn("plaudit: the counts could not be loaded:", error.message);
    }
  }

  #onPush(frame) {
    if (frame.type === "own_reaction_update") {
      this.of(frame.target)?.onOwnChange({ ...frame, version: BigInt(frame.version) });
      if (this.of(frame.target)) this.#emitChange(frame.target, "own");
    }
    const target = frame.target || frame.topic;
    if (frame.type !== "reaction_update" || !this.#targets.has(target)) return;
    const version = BigInt(frame.version);
    if (!this.of(target).onCounts({ ...frame, version })) return;
    this.#measurePush(target, version);
    this.#emit("pushed", { target, recent: frame.recent ?? [] });
    this.#emitChange(target, "push");
  }

  // A tap is shown to all users when the push that contains it is painted, on this page as on every other.
  #measureAnswer(target, version, tappedAt) {
    this.#emit("latency", { saved: performance.now() - tappedAt });
    const { pushed } = this.#measured.get(target) ?? {};
    this.#measured.set(target, { pushed, version, tappedAt });
    if (pushed >= version) this.#measurePush(target, pushed);
  }

  #measurePush(target, version) {
    const measured = this.#measured.get(target);
    if (measured?.version && version >= measured.version) {
      this.#measured.delete(target);
      requestAnimationFrame(() => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => this.#emit("latency", { shown: performance.now() - measured.tappedAt });
        port2.postMessage(null); // handled right after the frame is painted
      });
    } else {
      this.#measured.set(target, { ...measured, pushed: version });
    }
  }

  #applyDeferred(target) {
    this.of(target)?.applyDeferred();
    this.#emitChange(target, "push");
  }

  #add(target) {
    this.#targets.set(target, new TargetReactions({ single: SINGLE_CHOICE.has(target.split("/")[0]) }));
  }

  #emitChange(target, cause) {
    this.#emit("change", { target, cause });
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
