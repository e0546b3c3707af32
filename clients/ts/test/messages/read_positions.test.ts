import { expect, test, vi } from "vitest";
import { settle } from "../socket.ts";
import { pushed, ready, rig, sent, start, startForEach } from "./messenger_rig.ts";

startForEach();

const marks = (to: Parameters<typeof sent>[0]): unknown[] => sent(to, "mark_read").map(({ message_id }) => message_id);

test("reading is shown at once and said once, for the last message", async () => {
  const opened = await ready();
  opened.receive(pushed(11));
  opened.receive(pushed(12));
  expect(rig.messenger.unread).toBe(2);
  rig.messenger.markRead("c1");
  rig.messenger.markRead("c1");
  expect(rig.messenger.unread).toBe(0);
  await settle();
  const marks = opened.sent.filter(({ type }) => type === "mark_read");
  expect(marks).toMatchObject([{ conversation_id: "c1", message_id: "m12", private: false }]);
});

test("a burst of readings is said twice: at once, and a second later the last of them", async () => {
  const socket = await ready();
  for (const seq of [11, 12, 13]) {
    socket.receive(pushed(seq));
    rig.messenger.markRead("c1");
    await vi.advanceTimersByTimeAsync(100);
  }
  expect(marks(socket)).toEqual(["m11"]);
  await vi.advanceTimersByTimeAsync(699);
  expect(marks(socket)).toEqual(["m11"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(marks(socket)).toEqual(["m11", "m13"]);
});

test("what was read is said before the messenger is closed", async () => {
  const socket = await ready();
  for (const seq of [11, 12]) {
    socket.receive(pushed(seq));
    rig.messenger.markRead("c1");
  }
  rig.messenger.close();
  expect(marks(socket)).toEqual(["m11", "m12"]);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(marks(socket)).toEqual(["m11", "m12"]);
});

test("a reading that was not accepted for the moment is said again", async () => {
  const socket = await ready();
  socket.receive(pushed(11));
  rig.messenger.markRead("c1");
  socket.refuse("mark_read", { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(marks(socket)).toEqual(["m11", "m11"]);
});

test("what was read is said when the page is hidden", async () => {
  const listeners = new Map<string, () => void>();
  vi.stubGlobal("addEventListener", (type: string, listener: () => void) => listeners.set(type, listener));
  rig.client.close();
  start();
  vi.unstubAllGlobals();
  const socket = await ready();
  for (const seq of [11, 12]) {
    socket.receive(pushed(seq));
    rig.messenger.markRead("c1");
  }
  listeners.get("pagehide")!();
  expect(marks(socket)).toEqual(["m11", "m12"]);
});
