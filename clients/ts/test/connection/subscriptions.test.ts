import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Frame } from "../../src/connection/codec.ts";
import { Subscriptions } from "../../src/connection/subscriptions.ts";
import { Timers } from "../../src/connection/timers.ts";

let sent: Frame[];
let subscribed: string[];
let refused: [string, string][];
let subscriptions: Subscriptions;

beforeEach(() => {
  vi.useFakeTimers();
  [sent, subscribed, refused] = [[], [], []];
  subscriptions = new Subscriptions({
    timers: new Timers(),
    request: (frame) => sent.push(frame),
    onSubscribed: (topics) => subscribed.push(...topics),
    onRefused: (topics, error) => refused.push(...topics.map((topic): [string, string] => [topic, error.reason])),
  });
});

afterEach(() => vi.useRealTimers());

const topicsOf = (frame: Frame | undefined): unknown => [frame?.type, frame?.topics];
const error = (id: number, code: string, reason: string, retry_after_ms = 0): Frame =>
  ({ type: "error", id, code, reason, retry_after_ms });

test("a topic is subscribed once, and unsubscribed when its last subscriber leaves", () => {
  subscriptions.onOpened([]);
  subscriptions.add(["posts/1"]);
  subscriptions.add(["posts/1", "posts/2"]);
  subscriptions.remove(["posts/1"]);
  expect(sent.map(topicsOf)).toEqual([["subscribe", ["posts/1"]], ["subscribe", ["posts/2"]]]);
  subscriptions.remove(["posts/1"]);
  expect(topicsOf(sent[2])).toEqual(["unsubscribe", ["posts/1"]]);
});

test("a resumed session gets what was added and loses what was removed meanwhile", () => {
  subscriptions.add(["posts/1", "posts/2"]);
  expect(subscriptions.onOpened(["posts/2", "posts/3"])).toEqual(["posts/2"]);
  expect(sent.map(topicsOf)).toEqual([["subscribe", ["posts/1"]], ["unsubscribe", ["posts/3"]]]);
});

test("more topics than a frame takes are several frames", () => {
  subscriptions.add(Array.from({ length: 130 }, (_, index) => `posts/${index}`));
  subscriptions.onOpened([]);
  expect(sent.map(({ topics }) => (topics as string[]).length)).toEqual([128, 2]);
});

test("an ended subscription begins again where pushes may be missing, and is refused otherwise", () => {
  subscriptions.add(["conversations/1", "conversations/2"]);
  subscriptions.onOpened(["conversations/1", "conversations/2"]);
  const ended = (topic: string, code: string, reason: string): Frame => ({ type: "subscription_ended", topics: [topic], code, reason });
  subscriptions.onEnded(ended("conversations/1", "UNAVAILABLE", "PUSHES_MISSED"));
  subscriptions.onEnded(ended("conversations/2", "NOT_FOUND", "CONVERSATION_NOT_FOUND"));
  subscriptions.onEnded(ended("conversations/3", "NOT_FOUND", "CONVERSATION_NOT_FOUND"));
  vi.runAllTimers();
  expect(sent.map(topicsOf)).toEqual([["subscribe", ["conversations/1"]]]);
  expect(refused).toEqual([["conversations/2", "CONVERSATION_NOT_FOUND"]]);
  expect(subscriptions.topics).toEqual(["conversations/1"]);
});

test("a refused topic is reported alone; those beside it are subscribed", () => {
  subscriptions.add(["posts/1", "nope/1"]);
  subscriptions.onOpened([]);
  subscriptions.onError(error(1, "INVALID_ARGUMENT", "INVALID_TARGET"));
  expect(sent.slice(1).map(topicsOf)).toEqual([["subscribe", ["posts/1"]], ["subscribe", ["nope/1"]]]);
  subscriptions.onAnswer({ type: "subscribed", id: 2, topics: ["posts/1"] });
  subscriptions.onError(error(3, "INVALID_ARGUMENT", "INVALID_TARGET"));
  expect([subscribed, refused]).toEqual([["posts/1"], [["nope/1", "INVALID_TARGET"]]]);
  expect(subscriptions.topics).toEqual(["posts/1"]);
});

test("a temporary refusal is asked again after the time that the server says", () => {
  subscriptions.add(["posts/1"]);
  subscriptions.onOpened([]);
  subscriptions.onError(error(1, "RESOURCE_EXHAUSTED", "RATE_LIMITED", 2_000));
  vi.advanceTimersByTime(1_999);
  expect(sent).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(topicsOf(sent[1])).toEqual(["subscribe", ["posts/1"]]);
  expect(refused).toEqual([]);
});
