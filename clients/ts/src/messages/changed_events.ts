// Many changes of one turn are one event.

export class ChangedEvents {
  readonly #waiting = new Map<string, () => void>();

  /** Calls `emit` at the end of this turn, once for a key. */
  soon(key: string, emit: () => void): void {
    if (this.#waiting.size === 0) queueMicrotask(() => this.#run());
    this.#waiting.set(key, emit);
  }

  #run(): void {
    const all = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const emit of all) emit();
  }
}
