// Keeps the server subscribed to the topics that have a subscriber.

import { PlauditError } from "../errors.ts";
import { backoffDelay } from "./backoff.ts";
import type { Frame } from "./codec.ts";
import type { Timers } from "./timers.ts";
import { Topics } from "./topics.ts";

export interface SubscriptionsHost {
  timers: Timers;
  /** Sends a frame, and returns its id. */
  request: (frame: Frame) => number;
  onSubscribed: (topics: string[]) => void;
  onRefused: (topics: string[], error: PlauditError) => void;
}

export class Subscriptions {
  readonly #host: SubscriptionsHost;
  readonly #topics = new Topics();
  #isOpen = false;
  #attempt = 0;
  #retries: string[] = [];

  constructor(host: SubscriptionsHost) {
    this.#host = host;
  }

  get topics(): string[] {
    return this.#topics.all;
  }

  add(topics: Iterable<string>): void {
    const added = this.#topics.add(topics);
    if (this.#isOpen) this.#subscribe(added);
  }

  remove(topics: Iterable<string>): void {
    const removed = this.#topics.remove(topics);
    if (this.#isOpen) this.#unsubscribe(removed);
  }

  /** A session is open that is subscribed to `resumed`. Returns those of them that still have a subscriber. */
  onOpened(resumed: string[]): string[] {
    this.#isOpen = true;
    this.#attempt = 0;
    const all = new Set(this.#topics.all);
    const known = new Set(resumed);
    this.#subscribe([...all].filter((topic) => !known.has(topic)));
    this.#unsubscribe(resumed.filter((topic) => !all.has(topic)));
    return resumed.filter((topic) => all.has(topic));
  }

  onClosed(): void {
    this.#isOpen = false;
    this.#retries = [];
    this.#host.timers.cancel("subscribe");
    this.#topics.onClosed();
  }

  onAnswer(frame: Frame): void {
    const topics = this.#topics.answered(Number(frame.id));
    this.#attempt = 0;
    if (topics?.length) this.#host.onSubscribed(topics);
  }

  /** Handles an error frame; false where it answers no `subscribe`. */
  onError(frame: Frame): boolean {
    const topics = this.#topics.answered(Number(frame.id));
    if (topics === null) return false;
    const error = PlauditError.ofFrame(frame);
    if (isTemporary(error)) {
      this.#subscribeLater(topics, error.retryAfterMs);
    } else if (topics.length > 1) {
      for (const topic of topics) this.#subscribe([topic]); // one of them is refused, and all or none are subscribed
    } else if (topics.length === 1) {
      this.#topics.drop(topics);
      this.#host.onRefused(topics, error);
    }
    return true;
  }

  /** The server has ended subscriptions: those that may have missed pushes begin again, the others are refused. */
  onEnded(frame: Frame): void {
    const subscribed = new Set(this.#topics.all);
    const topics = (frame.topics as string[]).filter((topic) => subscribed.has(topic));
    if (topics.length === 0) return;
    const error = PlauditError.ofFrame(frame);
    if (isTemporary(error)) {
      this.#subscribeLater(topics, error.retryAfterMs);
    } else {
      this.#topics.drop(topics);
      this.#host.onRefused(topics, error);
    }
  }

  #subscribeLater(topics: string[], minimum: number): void {
    this.#retries.push(...topics);
    this.#host.timers.after("subscribe", backoffDelay(this.#attempt++, { minimum }), () => this.#retry());
  }

  #retry(): void {
    const all = new Set(this.#topics.all);
    const topics = this.#retries.filter((topic) => all.has(topic));
    this.#retries = [];
    this.#subscribe(topics);
  }

  #subscribe(topics: string[]): void {
    for (const group of this.#topics.groups(topics)) {
      this.#topics.requested(this.#host.request({ type: "subscribe", topics: group }), group);
    }
  }

  #unsubscribe(topics: string[]): void {
    for (const group of this.#topics.groups(topics)) this.#host.request({ type: "unsubscribe", topics: group });
  }
}

const isTemporary = ({ code, reason }: PlauditError): boolean =>
  code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED" || (code === "RESOURCE_EXHAUSTED" && reason !== "TOO_MANY_TOPICS");
