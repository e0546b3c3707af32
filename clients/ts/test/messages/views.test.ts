import { expect, test } from "vitest";
import { ChangesLog } from "../../src/messages/changes_log.ts";
import type { OutboxEntry } from "../../src/messages/outbox.ts";
import type { Message } from "../../src/messages/types.ts";
import { type Shown, TimelineView, settled } from "../../src/messages/views.ts";
import { message } from "./values.ts";

const queued = (id: string, fields: Partial<OutboxEntry> = {}): OutboxEntry => ({
  id, order: id, action: "send", lane: "c1", conversationId: "c1", recipientId: "", target: "", content: id, contentType: "text",
  replyTo: "", mentions: [], metadata: {}, timestamp: 1, state: "queued", ...fields,
});
const shown = (fields: Partial<Shown>): Shown => ({ entries: [], outbox: [], user: "me", deliveredSeq: 0, readSeq: 0, ...fields });
const accepted = (messageSeq: number) => ({ messageId: `m${messageSeq}`, messageSeq, timestamp: 5, ordinal: 1 });
const own = (seq: number) => message(seq, { senderId: "me", clientMsgId: `mine-${seq}` });

test("a message keeps its key from pending to sent, and is shown once", () => {
  const view = new TimelineView();
  const states: [string, string, number][] = [];
  const add = (fields: Partial<Shown>) => {
    const items = view.items(shown(fields)) as Message[];
    expect(items).toHaveLength(1);
    states.push([items[0]!.key, items[0]!.status, items[0]!.messageSeq]);
  };
  add({ outbox: [queued("mine-3")] });
  add({ outbox: [queued("mine-3", { state: "accepted", accepted: accepted(3) })] });
  add({ outbox: [queued("mine-3", { state: "accepted", accepted: accepted(3) })], entries: [own(3)] });
  add({ entries: [own(3)] });
  expect(states).toEqual([["mine-3", "pending", 0], ["mine-3", "sent", 3], ["mine-3", "sent", 3], ["mine-3", "sent", 3]]);
});

test("ticks of own messages follow the others; messages of others have none", () => {
  const items = new TimelineView().items(shown({ entries: [own(1), own(2), own(3), message(4)], deliveredSeq: 9, readSeq: 1 })) as Message[];
  expect(items.map(({ status, own: isOwn }) => [status, isOwn])).toEqual([["read", true], ["delivered", true], ["delivered", true], ["sent", false]]);
});

test("a queued edit or deletion is shown over the message", () => {
  const edit = queued("e", { action: "edit", target: "m1", content: "new" });
  const deletion = queued("d", { action: "delete", target: "m2" });
  const [first, second] = new TimelineView().items(shown({ entries: [own(1), own(2)], outbox: [edit, deletion] })) as Message[];
  expect(first).toMatchObject({ content: "new", edited: true, change: "edit" });
  expect(second).toMatchObject({ content: "", deleted: true, change: "delete" });
});

test("a message that is not sent yet can be edited", () => {
  const edit = queued("e", { action: "edit", target: "mine-1", content: "new" });
  const items = new TimelineView().items(shown({ outbox: [queued("mine-1"), edit] })) as Message[];
  expect(items).toMatchObject([{ key: "mine-1", content: "new", status: "pending", change: "edit" }]);
});

test("an item is another object only where something of it has changed", () => {
  const view = new TimelineView();
  const entries = [own(1), own(2)];
  const before = view.items(shown({ entries }));
  const after = view.items(shown({ entries, deliveredSeq: 1 }));
  expect(after[0]).not.toBe(before[0]);
  expect(after[1]).toBe(before[1]);
});

test("an accepted entry is settled once the log has its number", () => {
  const log = new ChangesLog("c1", 4);
  const entries = [queued("1"), queued("2", { accepted: accepted(4) }), queued("3", { accepted: accepted(5) })];
  expect(settled(entries, log)).toEqual(["2"]);
  expect(settled(entries, undefined)).toEqual(["2", "3"]);
});
