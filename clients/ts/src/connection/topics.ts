// The subscribed topics, each with its number of subscribers, and the `subscribe` frames without an answer. Pure: no I/O.

const TOPICS_PER_FRAME = 128;

export class Topics {
  readonly #subscribers = new Map<string, number>();
  readonly #requests = new Map<number, string[]>();

  /** The topics that have a subscriber. */
  get all(): string[] {
    return [...this.#subscribers.keys()];
  }

  /** Adds a subscriber to each topic; returns the topics that had none. */
  add(topics: Iterable<string>): string[] {
    const added: string[] = [];
    for (const topic of topics) {
      const subscribers = this.#subscribers.get(topic) ?? 0;
      this.#subscribers.set(topic, subscribers + 1);
      if (subscribers === 0) added.push(topic);
    }
    return added;
  }

  /** Removes a subscriber of each topic; returns the topics that have none now. */
  remove(topics: Iterable<string>): string[] {
    const removed: string[] = [];
    for (const topic of topics) {
      const subscribers = this.#subscribers.get(topic);
      if (subscribers === 1) {
        this.#subscribers.delete(topic);
        removed.push(topic);
      } else if (subscribers !== undefined) {
        this.#subscribers.set(topic, subscribers - 1);
      }
    }
    return removed;
  }

  /** The topics in groups that fit into a frame. */
  *groups(topics: string[]): Generator<string[]> {
    for (let from = 0; from < topics.length; from += TOPICS_PER_FRAME) yield topics.slice(from, from + TOPICS_PER_FRAME);
  }

  /** The frame `id` subscribes to these topics. */
  requested(id: number, topics: string[]): void {
    this.#requests.set(id, topics);
  }

  /** The frame `id` was answered: returns its topics that still have a subscriber; null where it subscribed to none. */
  answered(id: number): string[] | null {
    const topics = this.#requests.get(id);
    this.#requests.delete(id);
    return topics?.filter((topic) => this.#subscribers.has(topic)) ?? null;
  }

  /** The server refuses these topics for ever: they have no subscriber any more. */
  drop(topics: Iterable<string>): void {
    for (const topic of topics) this.#subscribers.delete(topic);
  }

  /** The socket is closed: no frame is answered any more. */
  onClosed(): void {
    this.#requests.clear();
  }
}
