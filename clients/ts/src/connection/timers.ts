// Named timers: a timer replaces the one of the same name, and all of them end together.

export class Timers {
  readonly #ids = new Map<string, ReturnType<typeof setTimeout>>();

  /** Calls `run` after `ms`, unless the name is used again or cancelled before. */
  after(name: string, ms: number, run: () => void): void {
    this.cancel(name);
    this.#ids.set(name, setTimeout(() => {
      this.#ids.delete(name);
      run();
    }, ms));
  }

  /** Whether a timer of the name is running. */
  has(name: string): boolean {
    return this.#ids.has(name);
  }

  cancel(name: string): void {
    clearTimeout(this.#ids.get(name));
    this.#ids.delete(name);
  }

  cancelAll(): void {
    for (const name of [...this.#ids.keys()]) this.cancel(name);
  }
}
