// A crowd that taps by itself: several users, each with a socket of its own and each within the limit of one person.
//
// Events: "stats" {sent, acked, refused, perSecond, median, fans, state}.

import { Connection } from "../net/connection.js";
import { uuid7 } from "../net/ids.js";
import { tokensOf } from "../net/tokens.js";
import { handle } from "../names.js";

const EACH_PER_SECOND = 8; // the server allows a person 10 changes a second
const SEATS = 1.25; // of those that are needed: some are just changing hands
const TICK_MS = 40;
const TAPS_IN_A_SEAT = 40; // then the next person takes the seat, so that counts grow
const STATS_MS = 250;
const REMEMBERED = 400;

export class Crowd extends EventTarget {
  #url;
  #fans = [];
  #timers = [];
  #wanted = null;
  #owed = 0;
  #ticked = 0;
  #totals = { sent: 0, acked: 0, refused: 0 };
  #latencies = [];
  #ackTimes = [];

  constructor(url) {
    super();
    this.#url = url;
  }

  get running() {
    return this.#wanted !== null;
  }

  /** Taps `rate` times a second on `target` until `stop`; `emoji` repeated is likelier. */
  start({ target, rate, emoji }) {
    this.#wanted = { target, rate, emoji };
    this.#totals = { sent: 0, acked: 0, refused: 0 };
    this.#latencies = [];
    this.#ackTimes = [];
    this.#ticked = performance.now();
    this.#owed = 0;
    this.#timers = [setInterval(() => this.#tick(), TICK_MS), setInterval(() => this.#report(), STATS_MS)];
    this.#seat();
    this.#report();
  }

  /** Changes the rate or the target while running. */
  change(wanted) {
    if (!this.running) return;
    this.#wanted = { ...this.#wanted, ...wanted };
    this.#seat();
  }

  stop() {
    this.#timers.forEach(clearInterval);
    for (const fan of this.#fans) fan.connection.close();
    this.#fans = [];
    this.#wanted = null;
    this.#report();
  }

  #seat() {
    const needed = Math.ceil((SEATS * this.#wanted.rate) / EACH_PER_SECOND);
    while (this.#fans.length < needed) this.#fans.push(this.#fan());
    for (const fan of this.#fans.splice(needed)) fan.connection.close();
  }

  #fan() {
    const user = `${handle()}-${uuid7().slice(-3)}`;
    const connection = new Connection({ url: this.#url, tokens: tokensOf({ user }), device: uuid7() });
    connection.open();
    return { connection, taps: 0, waiting: 0, nextAt: 0 };
  }

  #tick() {
    const now = performance.now();
    this.#owed = Math.min(this.#owed + (this.#wanted.rate * (now - this.#ticked)) / 1000, this.#wanted.rate);
    this.#ticked = now;
    this.#fans.forEach((fan, place) => {
      if (fan.taps < TAPS_IN_A_SEAT || fan.waiting) return;
      fan.connection.close();
      this.#fans[place] = this.#fan();
    });
    const ready = this.#fans.filter((fan) => fan.connection.state === "live" && fan.nextAt <= now && fan.taps < TAPS_IN_A_SEAT);
    for (; this.#owed >= 1 && ready.length; this.#owed -= 1) this.#tap(ready.shift(), now);
  }

  async #tap(fan, now) {
    const { target, emoji } = this.#wanted;
    fan.nextAt = now + 1000 / EACH_PER_SECOND;
    fan.taps += 1;
    fan.waiting += 1;
    this.#totals.sent += 1;
    try {
      const one = emoji[Math.floor(Math.random() * emoji.length)];
      await fan.connection.call("toggle_reaction", { target, emoji: one, op_id: uuid7() });
      this.#totals.acked += 1;
      this.#ackTimes.push(performance.now());
      this.#latencies.push(performance.now() - now);
      this.#latencies.splice(0, this.#latencies.length - REMEMBERED);
    } catch (error) {
      // What was on its way when the crowd was sent home is neither acked nor refused.
      if (error.code !== "CANCELLED") this.#totals.refused += 1;
    }
    fan.waiting -= 1;
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
      worst: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
      fans: this.#fans.filter(({ connection }) => connection.state === "live").length,
    };
    this.dispatchEvent(new CustomEvent("stats", { detail }));
  }
}
