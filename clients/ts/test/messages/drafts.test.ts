import { expect, test, vi } from "vitest";
import type { FakeSocket } from "../socket.ts";
import { settle } from "../socket.ts";
import { accept, answerLoads, ready, rig, sent, start, startForEach } from "./messenger_rig.ts";
import { MemoryStorage } from "./values.ts";

startForEach();

const draft = (): unknown => rig.messenger.conversation("c1")?.draft;
const changed = (content: string, timestamp: number, deviceId = "laptop") => ({
  type: "draft_changed", topic: "users/me", conversation_id: "c1", content, timestamp, device_id: deviceId,
});
const stored = (socket: FakeSocket): unknown => sent(socket, "set_draft").map(({ content }) => content);

async function withDevice(storage?: MemoryStorage): Promise<FakeSocket> {
  rig.client.close();
  start(storage, { device: "phone" });
  return ready();
}

test("what is written is stored at most once a second, with the device", async () => {
  const socket = await withDevice();
  for (const text of ["S", "Se", "See"]) rig.messenger.setDraft("c1", text);
  expect([draft(), stored(socket)]).toEqual(["See", []]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(stored(socket)).toEqual(["See"]);
  expect(socket.last("set_draft")).toMatchObject({ conversation_id: "c1", device_id: "phone" });
  rig.messenger.setDraft("c1", "See you");
  socket.answer("set_draft", { timestamp: 5 });
  await vi.advanceTimersByTimeAsync(1_000);
  expect(stored(socket)).toEqual(["See", "See you"]);
});

test("a draft of another device is shown, but does not replace what is being written", async () => {
  const socket = await withDevice();
  socket.receive(changed("From the laptop", 5));
  expect(draft()).toBe("From the laptop");
  rig.messenger.setDraft("c1", "Here");
  socket.receive(changed("There", 6));
  expect(draft()).toBe("Here");
  await vi.advanceTimersByTimeAsync(1_000);
  socket.answer("set_draft", { timestamp: 7 });
  await settle();
  socket.receive(changed("Once more there", 8));
  expect(draft()).toBe("Here");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(stored(socket)).toEqual(["Here", "Here"]);
  socket.answer("set_draft", { timestamp: 9 });
  await vi.advanceTimersByTimeAsync(3_000);
  socket.receive(changed("Later", 10));
  expect(draft()).toBe("Later");
});

test("pushes of the own device and older ones are skipped", async () => {
  const socket = await withDevice();
  socket.receive(changed("New", 9));
  socket.receive(changed("Old", 5));
  socket.receive(changed("Own", 10, "phone"));
  expect(draft()).toBe("New");
});

test("a message that ends the draft is sent so, and what is written after it is stored after it", async () => {
  const socket = await withDevice();
  rig.messenger.open("c1");
  await answerLoads(socket);
  rig.messenger.setDraft("c1", "Hello");
  void rig.messenger.send("c1", "Hello", { clearDraft: true });
  await settle();
  expect(draft()).toBe("");
  expect(socket.last("send_message")).toMatchObject({ content: "Hello", clear_draft: true });
  rig.messenger.setDraft("c1", "And");
  await vi.advanceTimersByTimeAsync(3_000);
  expect(stored(socket)).toEqual([]);
  await accept(socket, 11);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(stored(socket)).toEqual(["And"]);
});

test("a draft that was not stored is kept over a reload", async () => {
  const storage = new MemoryStorage();
  await withDevice(storage);
  rig.messenger.setDraft("c1", "Not stored");
  const second = await withDevice(storage);
  expect(draft()).toBe("Not stored");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(stored(second)).toEqual(["Not stored"]);
  second.answer("set_draft", { timestamp: 1 });
  await settle();
  expect(storage.length).toBe(0);
});

test("a draft is stored again where that may help, and not where the server refuses it", async () => {
  const socket = await withDevice();
  rig.messenger.setDraft("c1", "See");
  await vi.advanceTimersByTimeAsync(1_000);
  socket.refuse("set_draft", { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED" });
  await vi.advanceTimersByTimeAsync(3_000);
  expect(stored(socket)).toEqual(["See", "See"]);
  socket.refuse("set_draft", { code: "PERMISSION_DENIED", reason: "ADMINS_ONLY" });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(stored(socket)).toEqual(["See", "See"]);
});
