// Named timers: a timer replaces the one of the same name, and all of them end together.

export class Timers {
  #ids = new Map();

  /** Calls `run` after `ms`, unless the name is used again or cancelled before. */
  after(name, ms, run) {
    this.cancel(name);
    this.#ids.set(name, setTimeout(run, ms));
  }

  cancel(name) {
    clearTimeout(this.#ids.get(name));
    this.#ids.delete(name);
  }

  cancelAll() {
    for (const name of [...this.#ids.keys()]) this.cancel(name);
  }
}
