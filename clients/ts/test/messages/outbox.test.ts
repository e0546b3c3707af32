import { expect, test, vi } from "vitest";
import { PlauditError } from "../../src/errors.ts";
import { Outbox, type OutboxEntry } from "../../src/messages/outbox.ts";
import { MemoryStorage } from "./values.ts";

const entry = (id: string, fields: Partial<OutboxEntry> = {}): OutboxEntry => ({
  id, order: id, action: "send", lane: "c1", conversationId: "c1", recipientId: "", target: "", content: id, contentType: "text",
  replyTo: "", mentions: [], metadata: {}, timestamp: 1, state: "queued", ...fields,
});

test("the head of a lane is its first queued entry; a failed one does not hold up those behind it", () => {
  const outbox = new Outbox();
  outbox.set(entry("1", { state: "failed" }));
  outbox.set(entry("3"));
  outbox.set(entry("2"));
  outbox.set(entry("4", { lane: "c2" }));
  expect([outbox.head("c1")?.id, outbox.head("c2")?.id, outbox.head("c3")]).toEqual(["2", "4", undefined]);
  expect(outbox.lanes()).toEqual(["c1", "c2"]);
});

test("what is not accepted survives a reload, in order, with its error", () => {
  const storage = new MemoryStorage();
  const before = new Outbox();
  before.set(entry("1"));
  before.restore(storage, "me");
  before.set(entry("3", { state: "failed", error: new PlauditError({ code: "PERMISSION_DENIED", reason: "ADMINS_ONLY", message: "no" }) }));
  before.set(entry("2"));
  before.set({ ...entry("2"), state: "accepted" });
  before.set(entry("4"));
  before.remove("4");
  const after = new Outbox();
  after.restore(storage, "me");
  expect(after.of("c1").map(({ id, state }) => [id, state])).toEqual([["1", "queued"], ["3", "failed"]]);
  expect(after.get("3")?.error).toBeInstanceOf(PlauditError);
  expect(after.get("3")?.error).toMatchObject({ reason: "ADMINS_ONLY", message: "no" });
});

test("the entries of another user stay theirs", () => {
  const storage = new MemoryStorage();
  const other = new Outbox();
  other.restore(storage, "other");
  other.set(entry("1"));
  const outbox = new Outbox();
  outbox.restore(storage, "me");
  expect(outbox.of("c1")).toEqual([]);
  expect(storage.length).toBe(1);
});

test("what cannot be read is removed, and a full storage stops nothing", () => {
  const storage = new MemoryStorage();
  storage.setItem("plaudit.queue.me.1", "{");
  storage.setItem("plaudit.queue.me.2", JSON.stringify({ id: "2", state: "sent" }));
  const outbox = new Outbox();
  outbox.restore(storage, "me");
  expect(storage.length).toBe(0);
  vi.spyOn(console, "warn").mockReturnValue();
  storage.setItem = () => {
    throw new Error("full");
  };
  outbox.set(entry("3"));
  expect(outbox.head("c1")?.id).toBe("3");
  vi.restoreAllMocks();
});
