import { beforeEach, expect, test } from "vitest";
import { ConversationList } from "../../src/messages/conversation_list.ts";
import { change, conversation, message, partial, sent } from "./values.ts";

let list: ConversationList;

beforeEach(() => {
  list = new ConversationList(() => "me");
  list.load(conversation("c1"));
});

test("a message of another user is unread and moves the conversation up", () => {
  list.load(conversation("c2", { updateTime: "2026-01-02T00:00:00Z" }));
  expect(list.push("c1", sent(11, { timestamp: Date.parse("2026-01-03") }))).toBe("applied");
  expect(list.all.map(({ conversationId }) => conversationId)).toEqual(["c1", "c2"]);
  expect(list.get("c1")).toMatchObject({ unreadCount: 1, lastMessageSeq: 11, lastMessage: { messageId: "m11" } });
});

test("the same push again changes nothing", () => {
  list.push("c1", sent(11));
  const before = list.all;
  expect(list.push("c1", sent(11))).toBe("known");
  expect(list.all).toBe(before);
});

test("a conversation with a gap, or an unknown one, must be read again", () => {
  expect(list.push("c1", sent(12))).toBe("stale");
  expect(list.push("c9", sent(1))).toBe("stale");
  expect(list.get("c1")?.unreadCount).toBe(0);
});

test("an own message, of any device, reads what is before it", () => {
  list.push("c1", sent(11));
  list.push("c1", sent(12, { senderId: "me" }));
  expect(list.get("c1")).toMatchObject({ unreadCount: 0, readSeq: 12 });
});

test("a message that is deleted before it is read is no longer unread; one that was read changes nothing", () => {
  list.push("c1", sent(11));
  list.push("c1", sent(12));
  list.push("c1", change(13, "MESSAGE_DELETED", { message: partial(12, { deleteTime: "2026-01-01T00:00:00Z" }) }));
  expect(list.get("c1")).toMatchObject({ unreadCount: 1, lastMessage: { deleteTime: "2026-01-01T00:00:00Z", content: "", senderId: "bob" } });
  list.push("c1", change(14, "MESSAGE_DELETED", { message: partial(9, { deleteTime: "2026-01-01T00:00:00Z" }) }));
  expect(list.get("c1")?.unreadCount).toBe(1);
});

test("an answer that is older than what was pushed is not used", () => {
  list.push("c1", sent(11));
  expect(list.load(conversation("c1", { lastMessageSeq: 10, unreadCount: 7 }))).toBe(false);
  expect(list.get("c1")?.unreadCount).toBe(1);
});

test("what was read here stays read where the server does not know it yet", () => {
  list.push("c1", sent(11));
  list.read("c1", 11, 0);
  list.load(conversation("c1", { lastMessageSeq: 11, readSeq: 10, unreadCount: 1 }));
  expect(list.get("c1")).toMatchObject({ unreadCount: 0, readSeq: 11 });
  list.load(conversation("c1", { lastMessageSeq: 12, readSeq: 11, unreadCount: 1 }));
  expect(list.get("c1")?.unreadCount).toBe(1);
});

test("pinned conversations stand first, muted ones do not count", () => {
  list.load(conversation("c2", { unreadCount: 4, muteUntilMs: 2_000, pinned: true }));
  list.load(conversation("c3", { unreadCount: 2, updateTime: "2026-02-01T00:00:00Z" }));
  expect(list.all.map(({ conversationId }) => conversationId)).toEqual(["c2", "c3", "c1"]);
  expect([list.unread(1_000), list.unread(2_000)]).toEqual([2, 6]);
});

test("a removed user is no member, and members are counted by the push", () => {
  list.push("c1", change(11, "MEMBER_REMOVED", { userIds: ["me"] }), { memberCount: 1, membersEpoch: 2 });
  expect(list.get("c1")).toMatchObject({ role: "ROLE_UNSPECIFIED", memberCount: 1, membersEpoch: 2 });
});

test("a renamed conversation must be read again", () => {
  expect(list.push("c1", change(11, "CONVERSATION_UPDATED", { name: "New" }))).toBe("stale");
});

test("an edit of the last message changes the preview", () => {
  list.load(conversation("c1", { lastMessage: message(10) }));
  list.push("c1", change(11, "MESSAGE_EDITED", { message: partial(10, { content: "new", editTime: "2026-01-01T00:00:00Z" }) }));
  expect(list.get("c1")?.lastMessage).toMatchObject({ content: "new", senderId: "bob" });
});
