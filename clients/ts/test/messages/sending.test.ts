import { expect, test, vi } from "vitest";
import { settle } from "../socket.ts";
import { accept, answerLoads, calls, contents, message, pushed, ready, rig, start, startForEach } from "./messenger_rig.ts";
import { MemoryStorage } from "./values.ts";

startForEach();

test("messages of a conversation are sent one after the other, in order, over a lost socket", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  for (const text of ["one", "two", "three"]) void rig.messenger.send("c1", text);
  await settle();
  expect(contents()).toEqual([["one", "pending"], ["two", "pending"], ["three", "pending"]]);
  expect(calls(opened, "send_message")).toEqual(["one"]);
  await accept(opened, 11);
  expect(calls(opened, "send_message")).toEqual(["one", "two"]);
  const id = opened.last("send_message").client_msg_id;
  opened.cut(); // the server may have it or not
  await vi.advanceTimersByTimeAsync(250);
  const next = await ready({ verdict: "complete" });
  expect(next.last("send_message")).toMatchObject({ content: "two", client_msg_id: id });
  await accept(next, 12);
  await accept(next, 13);
  expect(contents()).toEqual([["one", "sent"], ["two", "sent"], ["three", "sent"]]);
  expect(calls(next, "send_message")).toEqual(["two", "three"]);
});

test("an own message that is pushed as well is shown once", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  void rig.messenger.send("c1", "one");
  await settle();
  const { client_msg_id } = opened.last("send_message");
  opened.receive({ ...pushed(11, { sender_id: "me", content: "one", client_msg_id }), seq: 1 });
  expect(contents()).toEqual([["one", "sent"]]);
  await accept(opened, 11);
  expect(contents()).toEqual([["one", "sent"]]);
});

test("a refused message stays as failed, lets others pass, and can be sent again", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  const refused: string[] = [];
  rig.messenger.on("refused", ({ action, error, message: shown }) => refused.push(`${action} ${error.reason} ${shown?.content}`));
  const first = rig.messenger.send("c1", "one");
  void rig.messenger.send("c1", "two");
  await settle();
  opened.refuse("send_message", { code: "PERMISSION_DENIED", reason: "ADMINS_ONLY" });
  await expect(first).rejects.toMatchObject({ reason: "ADMINS_ONLY" });
  await accept(opened, 11);
  expect(contents()).toEqual([["one", "failed"], ["two", "sent"]]);
  expect(refused).toEqual(["send ADMINS_ONLY one"]);
  const id = message(0).clientMsgId;
  void rig.messenger.retry("c1", message(0));
  await settle();
  expect(opened.last("send_message")).toMatchObject({ content: "one", client_msg_id: id });
  expect(contents()).toEqual([["two", "sent"], ["one", "pending"]]);
});

test("a message above the rate limit waits and is sent again before the next one", async () => {
  const opened = await ready();
  void rig.messenger.send("c1", "one");
  void rig.messenger.send("c1", "two");
  await settle();
  opened.refuse("send_message", { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", retry_after_ms: 700 });
  await vi.advanceTimersByTimeAsync(699);
  expect(calls(opened, "send_message")).toEqual(["one"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(calls(opened, "send_message")).toEqual(["one", "one"]);
});

test("an edit is shown at once, and until the change of its number is there", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  opened.receive(pushed(11, { sender_id: "me" }));
  void rig.messenger.edit("c1", message(0), "new");
  await settle();
  expect(message(0)).toMatchObject({ content: "new", change: "edit" });
  opened.answer("edit_message", { message_seq: 12 });
  await settle();
  expect(message(0)).toMatchObject({ content: "new", change: "edit" });
  const edited = { message_id: "m11", content: "new", edit_time: "2026-01-01T00:00:00Z" };
  opened.receive({ type: "message_changed", topic: "users/me", conversation_id: "c1", change: { message_seq: 12, type: "CHANGE_TYPE_MESSAGE_EDITED", message: edited } });
  expect(message(0)).toMatchObject({ content: "new", edited: true, own: true });
  expect(message(0).change).toBeUndefined();
});

test("a refused edit is undone", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  opened.receive(pushed(11));
  void rig.messenger.edit("c1", message(0), "new");
  await settle();
  opened.refuse("edit_message", { code: "PERMISSION_DENIED", reason: "NOT_THE_SENDER" });
  await settle();
  expect(message(0)).toMatchObject({ content: "text 11", edited: false });
  expect(message(0).change).toBeUndefined();
});

test("an edit of a message that is being sent follows it, with its id", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  void rig.messenger.send("c1", "one");
  void rig.messenger.edit("c1", message(0), "two");
  await settle();
  expect(contents()).toEqual([["two", "pending"]]);
  await accept(opened, 11);
  expect(opened.last("edit_message")).toMatchObject({ message_id: "m11", content: "two" });
});

test("a message to a user names the conversation for those behind it", async () => {
  const opened = await ready();
  void rig.messenger.sendTo("carol", "one");
  void rig.messenger.sendTo("carol", "two");
  await settle();
  expect(opened.last("send_message")).toMatchObject({ content: "one", recipient_id: "carol" });
  await accept(opened, 11);
  expect(opened.last("send_message")).toMatchObject({ content: "two", conversation_id: "c1" });
});

test("what was not accepted before a reload is sent by the next page, with the same ids", async () => {
  const storage = new MemoryStorage();
  rig.client.close();
  start(storage);
  const opened = await ready();
  void rig.messenger.send("c1", "one");
  void rig.messenger.send("c1", "two");
  await settle();
  const id = opened.last("send_message").client_msg_id;
  rig.client.close();
  start(storage);
  const next = await ready();
  expect(next.last("send_message")).toMatchObject({ content: "one", client_msg_id: id });
  await accept(next, 11);
  await accept(next, 12);
  expect(calls(next, "send_message")).toEqual(["one", "two"]);
  expect(storage.length).toBe(0);
});
