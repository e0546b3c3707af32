// A load generator: demo users who tap at a set rate, each with a socket of their own and within the limit of one user.
//
// Events: "stats" {running, sent, acked, refused, perSecond, median, p99, users}; times in milliseconds.

import { randomName } from "../names.js";
import { tokenSource } from "../net/tokens.js";
import { connect, uuid7 } from "../vendor/plaudit-client.js";

const USER_RATE = 8; // the server allows a user 10 changes a second
const SPARE_USERS = 1.25; // some users are connecting
const TAPS_PER_USER = 40; // then a new user replaces this one, so that the counts grow
const TICK_MS = 40;
const STATS_MS = 250;
const MAX_LATENCIES = 400;

export class LoadGenerator extends EventTarget {
  #url;
  #users = [];
  #timers = [];
  #settings = null;
  #budget = 0; // taps to send
  #lastTick = 0;
  #totals = { sent: 0, acked: 0, refused: 0 };
  #latencies = [];
  #ackTimes = [];

  constructor(url) {
    super();
    this.#url = url;
  }

  get running() {
    return this.#settings !== null;
  }

  /** Taps `rate` times a second on `target` until `stop`, with random emoji of the list `emoji`. */
  start({ target, rate, emoji }) {
    this.#settings = { target, rate, emoji };
    this.#totals = { sent: 0, acked: 0, refused: 0 };
    this.#latencies = [];
    this.#ackTimes = [];
    this.#lastTick = performance.now();
    this.#budget = 0;
    this.#timers = [setInterval(() => this.#tick(), TICK_MS), setInterval(() => this.#report(), STATS_MS)];
    this.#adjustUsers();
    this.#report();
  }

  /** Changes the rate or the target while running. */
  change(settings) {
    if (!this.running) return;
    this.#settings = { ...this.#settings, ...settings };
    this.#adjustUsers();
  }

  stop() {
    this.#timers.forEach(clearInterval);
    for (const user of this.#users) user.connection.close();
    this.#users = [];
    this.#settings = null;
    this.#report();
  }

  #adjustUsers() {
    const needed = Math.ceil((SPARE_USERS * this.#settings.rate) / USER_RATE);
    while (this.#users.length < needed) this.#users.push(this.#newUser());
    for (const user of this.#users.splice(needed)) user.connection.close();
  }

  #newUser() {
    const user = `${randomName()}-${uuid7().slice(-3)}`;
    const connection = connect(this.#url, tokenSource({ user }), { device: uuid7() });
    return { connection, taps: 0, inFlight: 0, nextTapAt: 0 };
  }

  #tick() {
    const now = performance.now();
    const { rate } = this.#settings;
    this.#budget = Math.min(this.#budget + (rate * (now - this.#lastTick)) / 1000, rate);
    this.#lastTick = now;
    this.#users.forEach((user, index) => {
      if (user.taps < TAPS_PER_USER || user.inFlight) return;
      user.connection.close();
      this.#users[index] = this.#newUser();
    });
    const isReady = ({ connection, nextTapAt, taps }) => connection.state === "live" && nextTapAt <= now && taps < TAPS_PER_USER;
    const ready = this.#users.filter(isReady);
    for (; this.#budget >= 1 && ready.length; this.#budget -= 1) this.#tap(ready.shift(), now);
  }

  async #tap(user, now) {
    const { target, emoji } = this.#settings;
    user.nextTapAt = now + 1000 / USER_RATE;
    user.taps += 1;
    user.inFlight += 1;
    this.#totals.sent += 1;
    try {
      const one = emoji[Math.floor(Math.random() * emoji.length)];
      await user.connection.call("toggle_reaction", { target, emoji: one, op_id: uuid7() });
      this.#totals.acked += 1;
      this.#ackTimes.push(performance.now());
      this.#latencies.push(performance.now() - now);
      this.#latencies.splice(0, this.#latencies.length - MAX_LATENCIES);
    } catch (error) {
      // The generator was stopped before the answer: neither acked nor refused.
      if (error.code !== "CANCELLED") this.#totals.refused += 1;
    }
    user.inFlight -= 1;
  }

  #report() {
    const now = performance.now();
    this.#ackTimes = this.#ackTimes.filter((time) => time > now - 1000);
    const sorted = [...this.#latencies].sort((a, b) => a - b);
    const detail = {
      ...this.#totals,
      running: this.running,
      perSecond: this.running ? this.#ackTimes.length : 0,
      median: sorted[Math.floor(sorted.length / 2)] ?? 0,
      p99: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      users: this.#users.filter(({ connection }) => connection.state === "live").length,
    };
    this.dispatchEvent(new CustomEvent("stats", { detail }));
  }
}
