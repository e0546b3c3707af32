import { expect, test, vi } from "vitest";
import { settle } from "../socket.ts";
import { answerLoads, contents, conversation, pushed, ready, rig, sent, startForEach } from "./messenger_rig.ts";

startForEach();

const shown = (): unknown => rig.messenger.conversations.map(({ conversationId }) => conversationId);
const archived = (): unknown => rig.messenger.archived.map(({ conversationId }) => conversationId);
const changed = (membership: object) => ({
  type: "membership_changed", topic: "users/me", conversation_id: "c1", membership: { role: "ROLE_MEMBER", read_seq: rig.head, ...membership },
});

test("an archived conversation is in the other list until a message comes", async () => {
  const socket = await ready();
  void rig.messenger.archive("c1", true);
  expect([shown(), archived()]).toEqual([[], ["c1"]]);
  expect(socket.last("update_membership")).toMatchObject({ conversation_id: "c1", archived: true });
  socket.answer("update_membership");
  socket.receive(pushed(11));
  expect([shown(), archived()]).toEqual([["c1"], []]);
});

test("a muted conversation stays archived", async () => {
  const socket = await ready();
  socket.receive(changed({ archived: true, mute_until_ms: "2000000000000" }));
  socket.receive(pushed(11));
  expect([shown(), archived()]).toEqual([[], ["c1"]]);
  expect(rig.messenger.unread).toBe(0);
});

test("a mark as unread ends where the user reads, though there is nothing new to read", async () => {
  const socket = await ready();
  socket.receive(pushed(11));
  rig.messenger.markRead("c1");
  socket.answer("mark_read");
  void rig.messenger.markUnread("c1", true);
  socket.answer("update_membership");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(rig.messenger.conversation("c1")).toMatchObject({ markedUnread: true, unreadCount: 0 });
  rig.messenger.markRead("c1");
  expect(rig.messenger.conversation("c1")?.markedUnread).toBe(false);
  expect(sent(socket, "mark_read")).toHaveLength(2);
});

test("what another device has set and read is shown", async () => {
  const socket = await ready();
  socket.receive(pushed(11));
  expect(rig.messenger.unread).toBe(1);
  socket.receive(changed({ read_seq: 11, pinned: true }));
  expect(rig.messenger.conversation("c1")).toMatchObject({ unreadCount: 0, readSeq: 11, pinned: true });
  expect(sent(socket, "get_conversation")).toEqual([]);
});

test("a push that is older than what was set does not undo it", async () => {
  const socket = await ready();
  void rig.messenger.archive("c1", true);
  socket.receive(changed({ archived: false }));
  expect(archived()).toEqual(["c1"]);
  socket.answer("update_membership");
  await vi.advanceTimersByTimeAsync(250);
  socket.answer("get_conversation", { conversation: conversation({ membership: { role: "ROLE_MEMBER", read_seq: 10, archived: true } }) });
  await settle();
  expect(archived()).toEqual(["c1"]);
});

test("archived conversations are loaded on their own", async () => {
  const socket = await ready();
  void rig.messenger.loadArchived();
  await settle();
  expect(socket.last("list_conversations")).toMatchObject({ archived: true, page_token: "" });
  const old = conversation({ conversation_id: "c2", membership: { role: "ROLE_MEMBER", archived: true } });
  socket.answer("list_conversations", { conversations: [old], next_page_token: "more" });
  await settle();
  expect([shown(), archived(), rig.messenger.hasMoreArchived]).toEqual([["c1"], ["c2"], true]);
});

test("messages that have disappeared are shown nowhere", async () => {
  const socket = await ready();
  rig.messenger.open("c1");
  await answerLoads(socket);
  for (const seq of [11, 12]) socket.receive(pushed(seq));
  socket.receive({ type: "messages_expired", topic: "users/me", conversation_id: "c1", visible_from_seq: 12 });
  expect(contents()).toEqual([["text 12", "sent"]]);
  socket.receive({ type: "messages_expired", topic: "users/me", conversation_id: "c1", visible_from_seq: 13 });
  expect(contents()).toEqual([]);
  expect(rig.messenger.conversation("c1")).toMatchObject({ unreadCount: 0, visibleFromSeq: 13 });
  expect(rig.messenger.conversation("c1")?.lastMessage).toBeUndefined();
});
