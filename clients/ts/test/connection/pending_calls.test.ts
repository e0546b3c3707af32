import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Frame } from "../../src/connection/codec.ts";
import { PendingCalls } from "../../src/connection/pending_calls.ts";
import { PlauditError } from "../../src/errors.ts";

let sent: Frame[];
let calls: PendingCalls;

beforeEach(() => {
  vi.useFakeTimers();
  sent = [];
  calls = new PendingCalls((frame) => sent.push(structuredClone(frame)));
});

afterEach(() => vi.useRealTimers());

const reasonOf = (call: Promise<unknown>): Promise<string> =>
  call.then(() => "", (error: PlauditError) => error.reason);

test("a call that a lost socket has cut off is sent again as it was", async () => {
  calls.onOpened(8);
  const call = calls.call("set_reaction", { target: "messages/1", op_id: "op-1" });
  calls.onClosed();
  calls.onOpened(8);
  calls.onAnswer({ type: "ack", id: sent[1]!.id!, on: true });
  expect(sent).toHaveLength(2);
  expect(sent[0]).toEqual(sent[1]);
  expect((await call).on).toBe(true);
});

test("a call that must not be repeated fails with the socket", async () => {
  calls.onOpened(8);
  const call = reasonOf(calls.call("create_group", {}, { repeat: false }));
  calls.onClosed();
  calls.onOpened(8);
  expect(await call).toBe("OUTCOME_UNKNOWN");
  expect(sent).toHaveLength(1);
});

test("a call that was not sent yet survives a lost socket, also where it must not be repeated", () => {
  void calls.call("create_group", {}, { repeat: false });
  calls.onClosed();
  calls.onOpened(8);
  expect(sent).toHaveLength(1);
});

test("an unknown outcome is asked for again under the same op_id", async () => {
  calls.onOpened(8);
  const call = calls.call("set_reaction", { op_id: "op-2" });
  calls.onAnswer({ type: "error", id: sent[0]!.id!, code: "UNAVAILABLE", reason: "OUTCOME_UNKNOWN", retry_after_ms: 1 });
  vi.advanceTimersByTime(300);
  calls.onAnswer({ type: "ack", id: sent[1]!.id! });
  await call;
  expect(sent.map((frame) => frame.op_id)).toEqual(["op-2", "op-2"]);
});

test("a refusal is final", async () => {
  calls.onOpened(8);
  const refused = calls.call("set_reaction", { op_id: "op-3" });
  const error = { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", message: "too fast", field: "emoji", retry_after_ms: 100 };
  calls.onAnswer({ type: "error", id: sent[0]!.id!, ...error });
  await expect(refused).rejects.toMatchObject({ code: error.code, reason: "RATE_LIMITED", message: "too fast", field: "emoji", retryAfterMs: 100 });
  expect(calls.size).toBe(0);
});

test("a call without an answer in time fails", async () => {
  calls.onOpened(8);
  const call = reasonOf(calls.call("get_counts", {}, { timeout: 500 }));
  vi.advanceTimersByTime(500);
  expect(await call).toBe("NO_ANSWER");
});

test("no more calls are in flight than the server allows", () => {
  calls.onOpened(2);
  for (let index = 0; index < 5; index += 1) void calls.call("list_reactors");
  expect(sent).toHaveLength(2);
  calls.onAnswer({ type: "ack", id: sent[0]!.id! });
  expect(sent).toHaveLength(3);
});
