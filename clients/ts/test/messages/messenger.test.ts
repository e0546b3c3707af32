import { expect, test, vi } from "vitest";
import { settle, socket } from "../socket.ts";
import { answerLoads, contents, conversation, pushed, ready, rig, startForEach } from "./messenger_rig.ts";

startForEach();

test("a missing change is fetched before what follows is shown", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  const before = opened.sent.filter(({ type }) => type === "list_changes").length;
  opened.receive(pushed(12));
  opened.receive(pushed(13));
  await vi.advanceTimersByTimeAsync(249);
  expect(contents()).toEqual([]);
  expect(opened.sent.filter(({ type }) => type === "list_changes")).toHaveLength(before);
  rig.head = 13;
  await vi.advanceTimersByTimeAsync(1);
  expect(opened.last("list_changes").after_seq).toBe(10);
  await answerLoads(opened);
  expect(contents()).toEqual([11, 12, 13].map((seq) => [`text ${seq}`, "sent"]));
  expect(rig.messenger.conversation("c1")?.lastMessageSeq).toBe(13);
});

test("a change that comes late by itself is not fetched", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  const before = opened.sent.filter(({ type }) => type === "list_changes").length;
  opened.receive(pushed(12));
  opened.receive(pushed(11));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(contents()).toHaveLength(2);
  expect(opened.sent.filter(({ type }) => type === "list_changes")).toHaveLength(before);
});

test("a session that could not be resumed loads the list again and what was missed", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  opened.cut();
  rig.head = 12;
  await vi.advanceTimersByTimeAsync(250);
  const next = await ready({ verdict: "reset", session: "s2" });
  await answerLoads(next);
  expect(next.sent.some(({ type }) => type === "list_conversations")).toBe(true);
  expect(contents()).toEqual([11, 12].map((seq) => [`text ${seq}`, "sent"]));
});

test("a resumed session loads the list alone, for what other devices have set", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  opened.cut();
  await vi.advanceTimersByTimeAsync(250);
  const next = await ready({ verdict: "complete" });
  expect(next.sent.filter(({ type }) => type.startsWith("list_")).map(({ type }) => type)).toEqual(["list_conversations"]);
});

test("ticks follow the receipts of the others", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  opened.receive(pushed(11, { sender_id: "me" }));
  const of = { type: "receipt", topic: "users/me", conversation_id: "c1" };
  opened.receive({ ...of, user_id: "bob", status: "delivered", delivered_seq: 11 });
  expect(contents()).toEqual([["text 11", "delivered"]]);
  // Of several members one stands above, the others beside it; the own position is no receipt of another.
  const others = [{ user_id: "bob", delivered_seq: 11, read_seq: 11 }, { user_id: "me", delivered_seq: 1 }];
  opened.receive({ ...of, user_id: "bob", status: "delivered", delivered_seq: 11, others });
  opened.receive({ ...of, user_id: "bob", status: "delivered", delivered_seq: 11 });
  expect(contents()).toEqual([["text 11", "read"]]);
});

test("a message of another user is announced once; changes of one turn are one event", async () => {
  const opened = await ready();
  rig.messenger.open("c1");
  await answerLoads(opened);
  const events: string[] = [];
  rig.messenger.on("message", ({ message: { content } }) => events.push(content));
  rig.messenger.on("timeline", ({ conversationId }) => events.push(conversationId));
  opened.receive(pushed(11));
  opened.receive(pushed(11));
  opened.receive(pushed(12, { sender_id: "me" }));
  await settle();
  expect(events).toEqual(["text 11", "c1"]);
});

test("a conversation that is not known is read", async () => {
  const opened = await ready();
  opened.receive(pushed(1, { conversation_id: "c2" }));
  await vi.advanceTimersByTimeAsync(250);
  expect(opened.last("get_conversation").conversation_id).toBe("c2");
  opened.answer("get_conversation", { conversation: conversation({ conversation_id: "c2", last_message_seq: 1, unread_count: 1 }) });
  await settle();
  expect(rig.messenger.conversations.map(({ conversationId }) => conversationId)).toContain("c2");
});

test("a closed view unsubscribes and forgets", async () => {
  const opened = await ready();
  const stop = rig.messenger.open("c1");
  const other = rig.messenger.open("c1");
  await answerLoads(opened);
  stop();
  stop();
  expect(rig.messenger.members("c1")).toHaveLength(2);
  other();
  expect(opened.last("unsubscribe").topics).toEqual(["conversations/c1"]);
  expect(rig.messenger.timeline("c1").items).toEqual([]);
  expect(socket()).toBe(opened);
});
