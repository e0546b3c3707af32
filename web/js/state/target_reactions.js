// The reactions of one target, with the taps of this user that the server has not answered yet. Pure: no I/O.
//
// Three things are separate, so that each can be corrected alone: the counts of all users (versioned), the reactions of
// this user (versioned on their own, as pushes of counts do not contain them), and the pending taps. The shown state is
// the first two with the pending taps applied; where the server refuses a tap, it is removed and the rest is shown.

const NONE = "";

export class TargetReactions {
  version = 0n;
  storm = false;
  #counts = new Map();
  #countsLoaded = false;
  #own = new Set();
  #ownVersion = 0n;
  #pending = new Map(); // slot to the wanted emoji, NONE: no reaction
  #uncounted = []; // answered changes that are newer than the counts
  #deferred = null; // counts that arrived while a tap was pending

  /** `single`: one reaction per user, where another emoji replaces it. */
  constructor({ single }) {
    this.single = single;
  }

  /** Whether the counts are known: they arrived, or the server says that no user has reacted yet. */
  get countsLoaded() {
    return this.#countsLoaded;
  }

  /** The emoji of this user, as shown. */
  get own() {
    if (this.single) {
      const wanted = this.#pending.get(NONE);
      return wanted === undefined ? this.#own : new Set(wanted === NONE ? [] : [wanted]);
    }
    const own = new Set(this.#own);
    for (const [emoji, wanted] of this.#pending) wanted === NONE ? own.delete(emoji) : own.add(emoji);
    return own;
  }

  /** Emoji to count, as shown: pending taps and answered changes that the counts do not contain are included. */
  get counts() {
    const counts = new Map(this.#counts);
    const add = (emoji, by) => counts.set(emoji, (counts.get(emoji) ?? 0n) + by);
    for (const { emoji, by } of this.#uncounted) add(emoji, by);
    const own = this.own;
    for (const emoji of own) if (!this.#own.has(emoji)) add(emoji, 1n);
    for (const emoji of this.#own) if (!own.has(emoji)) add(emoji, -1n);
    return new Map([...counts].filter(([, count]) => count > 0n));
  }

  /** The number of all reactions, as shown. */
  get total() {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0n);
  }

  /** Adds a tap on `emoji`. Returns its slot: the server is asked for the changes of a slot one after the other. */
  tap(emoji) {
    const slot = this.single ? NONE : emoji;
    this.#pending.set(slot, this.own.has(emoji) ? NONE : emoji);
    return slot;
  }

  /** The change that the server must make for this slot: `{emoji, on}`, or null where the wanted state is reached. */
  nextChange(slot) {
    const wanted = this.#pending.get(slot);
    if (wanted === undefined) return null;
    const current = this.single ? [...this.#own][0] ?? NONE : this.#own.has(slot) ? slot : NONE;
    if (wanted === current) {
      this.#removePending(slot);
      return null;
    }
    return wanted === NONE ? { emoji: current, on: false } : { emoji: wanted, on: true };
  }

  /** The server made a change: as of `version` the user has the emoji or not. `reactions` are counts, where it has them. */
  onAnswer({ emoji, on, version, reactions }) {
    const before = new Set(this.#own);
    this.#changeOwn(on ? emoji : NONE, on ? NONE : emoji, version);
    if (reactions?.length) this.#setCounts(version, reactions);
    // An answer without counts: until they follow, the change is added to the counts that are known.
    if (this.version < version) {
      for (const own of this.#own) if (!before.has(own)) this.#uncounted.push({ emoji: own, by: 1n, version });
      for (const own of before) if (!this.#own.has(own)) this.#uncounted.push({ emoji: own, by: -1n, version });
    }
    const slot = this.single ? NONE : emoji;
    if (this.#pending.get(slot) === (on ? emoji : NONE)) this.#removePending(slot);
  }

  /** The server refused the change of a slot. */
  onRefused(slot) {
    this.#removePending(slot);
  }

  /**
   * Counts of all users arrived. Returns false where they are older than the known ones.
   *
   * They may or may not contain a pending tap, which would be shown twice: they are deferred until its answer.
   */
  onCounts({ version, reactions, storm = false }) {
    if (version < this.version || version < (this.#deferred?.version ?? 0n)) return false;
    this.storm = storm;
    if (this.#pending.size) this.#deferred = { version, reactions };
    else this.#setCounts(version, reactions);
    return true;
  }

  /** Applies deferred counts before the answer, where the answer takes long. */
  applyDeferred() {
    if (this.#deferred) this.#setCounts(this.#deferred.version, this.#deferred.reactions);
    this.#deferred = null;
  }

  /** Another device of this user changed a reaction. Ignored where it is older than the known state. */
  onOwnChange({ added, removed, version }) {
    if (version > this.#ownVersion) this.#changeOwn(added, removed, version);
  }

  /** All reactions of this user, as of `version` of the target. Ignored where older than the known state. */
  onOwnLoaded({ emojis, version }) {
    this.#countsLoaded ||= version === 0n;
    if (version < this.#ownVersion) return;
    this.#own = new Set(emojis);
    this.#ownVersion = version;
  }

  #changeOwn(added, removed, version) {
    if (version < this.#ownVersion) return;
    const own = new Set(this.single && added ? [] : this.#own);
    if (removed) own.delete(removed);
    if (added) own.add(added);
    this.#own = own;
    this.#ownVersion = version;
  }

  #setCounts(version, reactions) {
    if (version < this.version) return;
    this.version = version;
    this.#counts = new Map(reactions.map(({ emoji, count }) => [emoji, BigInt(count)]));
    this.#countsLoaded = true;
    this.#uncounted = this.#uncounted.filter((change) => change.version > version);
  }

  #removePending(slot) {
    this.#pending.delete(slot);
    if (!this.#pending.size) this.applyDeferred();
  }
}
