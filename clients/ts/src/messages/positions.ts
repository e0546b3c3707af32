// Up to which message the other members of a conversation have received and read. Pure: no I/O.

import type { Member, Receipt } from "./types.ts";

export class Positions {
  readonly #receipts = new Map<string, Receipt>();
  readonly #joined = new Map<string, number>();

  get all(): Receipt[] {
    return [...this.#receipts.values()];
  }

  /** Replaces the members and their positions by those that were loaded; no position moves back. */
  load(members: readonly Member[], receipts: readonly Receipt[]): void {
    const before = new Map(this.#receipts);
    this.#receipts.clear();
    this.#joined.clear();
    for (const { userId, joinedSeq } of members) this.#joined.set(userId, joinedSeq);
    for (const receipt of receipts) this.#receipts.set(receipt.userId, merge(before.get(receipt.userId), receipt));
  }

  /** A member has received or read messages; returns whether that is new. */
  push(receipt: Receipt): boolean {
    const before = this.#receipts.get(receipt.userId);
    const merged = merge(before, receipt);
    if (merged.deliveredSeq === before?.deliveredSeq && merged.readSeq === before.readSeq) return false;
    this.#receipts.set(receipt.userId, merged);
    return true;
  }

  /** Up to which message all others have received and read. What was written before a member joined does not count. */
  least(): { deliveredSeq: number; readSeq: number } {
    let deliveredSeq = Infinity;
    let readSeq = Infinity;
    for (const receipt of this.#receipts.values()) {
      const joined = this.#joined.get(receipt.userId) ?? 0;
      deliveredSeq = Math.min(deliveredSeq, Math.max(receipt.deliveredSeq, joined));
      readSeq = Math.min(readSeq, Math.max(receipt.readSeq, joined));
    }
    return this.#receipts.size ? { deliveredSeq, readSeq } : { deliveredSeq: 0, readSeq: 0 };
  }
}

function merge(before: Receipt | undefined, { userId, deliveredSeq, readSeq }: Receipt): Receipt {
  const read = Math.max(before?.readSeq ?? 0, readSeq);
  return { userId, deliveredSeq: Math.max(before?.deliveredSeq ?? 0, deliveredSeq, read), readSeq: read };
}
