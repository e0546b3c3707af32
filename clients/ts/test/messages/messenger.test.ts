import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client } from "../../src/client.ts";
import type { Fields, Frame } from "../../src/connection/codec.ts";
import { Messenger } from "../../src/messages/messenger.ts";
import type { Item, Message } from "../../src/messages/types.ts";
import { type FakeSocket, fakeClient, settle, socket, welcome } from "../socket.ts";
import { MemoryStorage } from "./values.ts";

let client: Client;
let messenger: Messenger;
let head: number;

const conversation = (fields: Fields = {}): Fields => ({
  conversation_id: "c1", type: "CONVERSATION_TYPE_GROUP", name: "Team", last_message_seq: head, unread_count: 0, update_time: "2026-01-01T00:00:00Z",
  membership: { role: "ROLE_MEMBER", read_seq: head }, ...fields,
});
const pushed = (messageSeq: number, fields: Fields = {}): Frame => ({
  type: "new_message", topic: "users/me", conversation_id: "c1", message_id: `m${messageSeq}`, sender_id: "bob", content: `text ${messageSeq}`,
  message_seq: messageSeq, timestamp: 1_767_225_600_000 + messageSeq, ...fields,
});

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
  head = 10;
  start();
});

afterEach(() => {
  client.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function start(storage?: MemoryStorage): void {
  client = fakeClient();
  messenger = new Messenger(client, storage ? { storage } : {});
}

/** Opens a session, and answers what the messenger loads with it. */
async function ready(fields: Fields = {}): Promise<FakeSocket> {
  const opened = await welcome(fields);
  for (const frame of opened.sent.filter(({ type }) => type === "subscribe")) {
    opened.receive({ type: "subscribed", id: frame.id!, topics: frame.topics as string[] });
  }
  await settle();
  await answerLoads(opened);
  return opened;
}

const LOADS: Record<string, (frame: Frame) => Fields> = {
  list_conversations: () => ({ conversations: [conversation()] }),
  get_conversation: () => ({ conversation: conversation() }),
  list_messages: () => ({ messages: [], older_page_token: "" }),
  list_changes: ({ after_seq }) => ({
    changes: Array.from({ length: Math.max(0, head - Number(after_seq)) }, (_, index) => {
      const seq = Number(after_seq) + index + 1;
      return { message_seq: seq, type: "CHANGE_TYPE_MESSAGE_SENT", message: pushed(seq) };
    }).filter(({ message_seq: seq }) => seq > 10),
    last_message_seq: head,
  }),
  list_members: () => ({ members: [{ user_id: "me", role: "ROLE_MEMBER" }, { user_id: "bob", role: "ROLE_ADMIN" }] }),
  list_receipts: () => ({ receipts: [{ user_id: "bob", delivered_seq: 0, read_seq: 0 }] }),
  mark_delivered: () => ({}),
};
const answered = new WeakSet<Frame>();

/** Answers all reads until there are no more. */
async function answerLoads(to: FakeSocket): Promise<void> {
  for (;;) {
    const frames = to.sent.filter((frame) => LOADS[frame.type] && !answered.has(frame));
    if (frames.length === 0) return;
    for (const frame of frames) {
      answered.add(frame);
      to.receive({ type: "ack", id: frame.id!, ...LOADS[frame.type]!(frame) });
    }
    await settle();
  }
}

/** Accepts the `send_message` that is in flight. */
async function accept(to: FakeSocket, messageSeq: number): Promise<string> {
  const { content, client_msg_id } = to.last("send_message");
  to.answer("send_message", { message_id: `m${messageSeq}`, conversation_id: "c1", client_msg_id, message_seq: messageSeq, timestamp: 1 });
  await settle();
  return String(content);
}

const contents = (): unknown[] => messenger.timeline("c1").items.map((item: Item) => (item.kind === "message" ? [item.content, item.status] : item.type));
const message = (index: number): Message => messenger.timeline("c1").items[index] as Message;
const calls = (to: FakeSocket, type: string): unknown[] => to.sent.filter((frame) => frame.type === type).map(({ content }) => content);

test("messages of a conversation are sent one after the other, in order, over a lost socket", async () => {
  const opened = await ready();
  messenger.open("c1");
  await answerLoads(opened);
  for (const text of ["one", "two", "three"]) void messenger.send("c1", text);
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
  messenger.open("c1");
  await answerLoads(opened);
  void messenger.send("c1", "one");
  await settle();
  const { client_msg_id } = opened.last("send_message");
  opened.receive({ ...pushed(11, { sender_id: "me", content: "one", client_msg_id }), seq: 1 });
  expect(contents()).toEqual([["one", "sent"]]);
  await accept(opened, 11);
  expect(contents()).toEqual([["one", "sent"]]);
});

test("a missing change is fetched before what follows is shown", async () => {
  const opened = await ready();
  messenger.open("c1");
  await answerLoads(opened);
  const before = opened.sent.filter(({ type }) => type === "list_changes").length;
  opened.receive(pushed(12));
  opened.receive(pushed(13));
  await vi.advanceTimersByTimeAsync(249);
  expect(contents()).toEqual([]);
  expect(opened.sent.filter(({ type }) => type === "list_changes")).toHaveLength(before);
  head = 13;
  await vi.advanceTimersByTimeAsync(1);
  expect(opened.last("list_changes").after_seq).toBe(10);
  await answerLoads(opened);
  expect(contents()).toEqual([11, 12, 13].map((seq) => [`text ${seq}`, "sent"]));
  expect(messenger.conversation("c1")?.lastMessageSeq).toBe(13);
});

test("a change that comes late by itself is not fetched", async () => {
  const opened = await ready();
  messenger.open("c1");
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
  messenger.open("c1");
  await answerLoads(opened);
  opened.cut();
  head = 12;
  await vi.advanceTimersByTimeAsync(250);
  const next = await ready({ verdict: "reset", session: "s2" });
  await answerLoads(next);
  expect(next.sent.some(({ type }) => type === "list_conversations")).toBe(true);
  expect(contents()).toEqual([11, 12].map((seq) => [`text ${seq}`, "sent"]));
});

test("a resumed session loads nothing", async () => {
  const opened = await ready();
  messenger.open("c1");
  await answerLoads(opened);
  opened.cut();
  await vi.advanceTimersByTimeAsync(250);
  const next = await ready({ verdict: "complete" });
  expect(next.sent.filter(({ type }) => type.startsWith("list_"))).toEqual([]);
});

test("a refused message stays as failed, lets others pass, and can be sent again", async () => {
  const opened = await ready();
  messenger.open("c1");
  await answerLoads(opened);
  const refused: string[] = [];
  messenger.on("refused", ({ action, error, message: shown }) => refused.push(`${action} ${error.reason} ${shown?.content}`));
  const first = messenger.send("c1", "one");
  void messenger.send("c1", "two");
  await settle();
  opened.refuse("send_message", { code: "PERMISSION_DENIED", reason: "ADMINS_ONLY" });
  await expect(first).rejects.toMatchObject({ reason: "ADMINS_ONLY" });
  await accept(opened, 11);
  expect(contents()).toEqual([["one", "failed"], ["two", "sent"]]);
  expect(refused).toEqual(["send ADMINS_ONLY one"]);
  const id = message(0).clientMsgId;
  void messenger.retry("c1", message(0));
  await settle();
  expect(opened.last("send_message")).toMatchObject({ content: "one", client_msg_id: id });
  expect(contents()).toEqual([["two", "sent"], ["one", "pending"]]);
});

test("a message above the rate limit waits and is sent again before the next one", async () => {
  const opened = await ready();
  void messenger.send("c1", "one");
  void messenger.send("c1", "two");
  await settle();
  opened.refuse("send_message", { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", retry_after_ms: 700 });
  await vi.advanceTimersByTimeAsync(699);
  expect(calls(opened, "send_message")).toEqual(["one"]);
  await vi.advanceTimersByTimeAsync(1);
  expect(calls(opened, "send_message")).toEqual(["one", "one"]);
});

test("an edit is shown at once, and until the change of its number is there", async () => {
  const opened = await ready();
  messenger.open("c1");
  await answerLoads(opened);
  opened.receive(pushed(11, { sender_id: "me" }));
  void messenger.edit("c1", message(0), "new");
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
  messenger.open("c1");
  await answerLoads(opened);
  opened.receive(pushed(11));
  void messenger.edit("c1", message(0), "new");
  await settle();
  opened.refuse("edit_message", { code: "PERMISSION_DENIED", reason: "NOT_THE_SENDER" });
  await settle();
  expect(message(0)).toMatchObject({ content: "text 11", edited: false });
  expect(message(0).change).toBeUndefined();
});

test("an edit of a message that is being sent follows it, with its id", async () => {
  const opened = await ready();
  messenger.open("c1");
  await answerLoads(opened);
  void messenger.send("c1", "one");
  void messenger.edit("c1", message(0), "two");
  await settle();
  expect(contents()).toEqual([["two", "pending"]]);
  await accept(opened, 11);
  expect(opened.last("edit_message")).toMatchObject({ message_id: "m11", content: "two" });
});

test("a message to a user names the conversation for those behind it", async () => {
  const opened = await ready();
  void messenger.sendTo("carol", "one");
  void messenger.sendTo("carol", "two");
  await settle();
  expect(opened.last("send_message")).toMatchObject({ content: "one", recipient_id: "carol" });
  await accept(opened, 11);
  expect(opened.last("send_message")).toMatchObject({ content: "two", conversation_id: "c1" });
});

test("what was not accepted before a reload is sent by the next page, with the same ids", async () => {
  const storage = new MemoryStorage();
  client.close();
  start(storage);
  const opened = await ready();
  void messenger.send("c1", "one");
  void messenger.send("c1", "two");
  await settle();
  const id = opened.last("send_message").client_msg_id;
  client.close();
  start(storage);
  const next = await ready();
  expect(next.last("send_message")).toMatchObject({ content: "one", client_msg_id: id });
  await accept(next, 11);
  await accept(next, 12);
  expect(calls(next, "send_message")).toEqual(["one", "two"]);
  expect(storage.length).toBe(0);
});

test("reading is shown at once and said once, for the last message", async () => {
  const opened = await ready();
  opened.receive(pushed(11));
  opened.receive(pushed(12));
  expect(messenger.unread).toBe(2);
  messenger.markRead("c1");
  messenger.markRead("c1");
  expect(messenger.unread).toBe(0);
  await settle();
  const marks = opened.sent.filter(({ type }) => type === "mark_read");
  expect(marks).toMatchObject([{ conversation_id: "c1", message_id: "m12", private: false }]);
});

test("ticks follow the receipts of the others", async () => {
  const opened = await ready();
  messenger.open("c1");
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
  messenger.open("c1");
  await answerLoads(opened);
  const events: string[] = [];
  messenger.on("message", ({ message: { content } }) => events.push(content));
  messenger.on("timeline", ({ conversationId }) => events.push(conversationId));
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
  expect(messenger.conversations.map(({ conversationId }) => conversationId)).toContain("c2");
});

test("a closed view unsubscribes and forgets", async () => {
  const opened = await ready();
  const stop = messenger.open("c1");
  const other = messenger.open("c1");
  await answerLoads(opened);
  stop();
  stop();
  expect(messenger.members("c1")).toHaveLength(2);
  other();
  expect(opened.last("unsubscribe").topics).toEqual(["conversations/c1"]);
  expect(messenger.timeline("c1").items).toEqual([]);
  expect(socket()).toBe(opened);
});
