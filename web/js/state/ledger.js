// What is known of one target, and what the person here has asked for but the server has not answered: pure, no I/O.
//
// Three things are kept apart so that each can be corrected alone: the counts (of everybody, versioned), what this
// person holds (versioned on its own, since pushes of counts do not say it), and wishes (taps not answered yet). What is
// shown is the first two with the wishes laid over them; a refused wish is dropped and the truth shows again.

const NONE = "";

export class Ledger {
  version = 0n;
  storm = false;
  #counts = new Map();
  #own = new Set();
  #ownVersion = 0n;
  #wishes = new Map();
  #late = [];
  #held = null;

  /** `single`: one reaction per person, another one switches. */
  constructor({ single }) {
    this.single = single;
  }

  /** The emoji this person holds, as shown. */
  get own() {
    if (this.single) {
      const wish = this.#wishes.get(NONE);
      return wish === undefined ? this.#own : new Set(wish === NONE ? [] : [wish]);
    }
    const own = new Set(this.#own);
    for (const [emoji, wish] of this.#wishes) wish === NONE ? own.delete(emoji) : own.add(emoji);
    return own;
  }

  /** Emoji to count, as shown, largest first; wishes and answers that the counts do not contain yet included. */
  get counts() {
    const counts = new Map(this.#counts);
    const bump = (emoji, by) => counts.set(emoji, (counts.get(emoji) ?? 0n) + by);
    for (const { emoji, by } of this.#late) bump(emoji, by);
    const own = this.own;
    for (const emoji of own) if (!this.#own.has(emoji)) bump(emoji, 1n);
    for (const emoji of this.#own) if (!own.has(emoji)) bump(emoji, -1n);
    return new Map([...counts].filter(([, count]) => count > 0n));
  }

  /** How many reactions in all, as shown. */
  get total() {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0n);
  }

  /** A tap on `emoji`. Returns the slot it belongs to: taps of one slot are answered one after the other. */
  tap(emoji) {
    const slot = this.single ? NONE : emoji;
    this.#wishes.set(slot, this.own.has(emoji) ? NONE : emoji);
    return slot;
  }

  /** What to ask the server for on this slot: `{emoji, on}`, or null where the wish is already true. */
  request(slot) {
    const wish = this.#wishes.get(slot);
    if (wish === undefined) return null;
    const held = this.single ? [...this.#own][0] ?? NONE : this.#own.has(slot) ? slot : NONE;
    if (wish === held) {
      this.#forget(slot);
      return null;
    }
    return wish === NONE ? { emoji: held, on: false } : { emoji: wish, on: true };
  }

  /** The server answered a request: the person holds the emoji or not, as of `version`. */
  answered({ emoji, on, version, reactions }) {
    const before = new Set(this.#own);
    this.#hold(on ? emoji : NONE, on ? NONE : emoji, version);
    if (reactions?.length) this.#count(version, reactions);
    // The ack came without counts: until they follow, what just changed is counted here.
    if (this.version < version) {
      for (const held of this.#own) if (!before.has(held)) this.#late.push({ emoji: held, by: 1n, version });
      for (const held of before) if (!this.#own.has(held)) this.#late.push({ emoji: held, by: -1n, version });
    }
    const slot = this.single ? NONE : emoji;
    const wish = this.#wishes.get(slot);
    if (wish === (on ? emoji : NONE)) this.#forget(slot);
  }

  /** The server refused: the wish is gone and the truth shows again. */
  refused(slot) {
    this.#forget(slot);
  }

  /**
   * Counts of everybody arrived. Older ones are dropped: false.
   *
   * While a wish is open they may or may not contain it, and would show it twice: they are held until the answer.
   */
  updated({ version, reactions, storm = false }) {
    if (version < this.version || version < (this.#held?.version ?? 0n)) return false;
    this.storm = storm;
    if (this.#wishes.size) this.#held = { version, reactions };
    else this.#count(version, reactions);
    return true;
  }

  /** Shows held counts after all, for an answer that takes long. */
  release() {
    if (this.#held) this.#count(this.#held.version, this.#held.reactions);
    this.#held = null;
  }

  /** Another device of this person changed something. Older news is dropped. */
  ownChanged({ added, removed, version }) {
    if (version > this.#ownVersion) this.#hold(added, removed, version);
  }

  /** What the person holds, in full. Older news is dropped. */
  ownKnown({ emojis, version }) {
    if (version < this.#ownVersion) return;
    this.#own = new Set(emojis);
    this.#ownVersion = version;
  }

  #hold(added, removed, version) {
    if (version < this.#ownVersion) return;
    const own = new Set(this.single && added ? [] : this.#own);
    if (removed) own.delete(removed);
    if (added) own.add(added);
    this.#own = own;
    this.#ownVersion = version;
  }

  #count(version, reactions) {
    if (version < this.version) return;
    this.version = version;
    this.#counts = new Map(reactions.map(({ emoji, count }) => [emoji, BigInt(count)]));
    this.#late = this.#late.filter((change) => change.version > version);
  }

  #forget(slot) {
    this.#wishes.delete(slot);
    if (!this.#wishes.size) this.release();
  }
}
