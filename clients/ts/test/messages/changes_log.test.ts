import { expect, test } from "vitest";
import { ChangesLog } from "../../src/messages/changes_log.ts";
import { change, message, partial, sent } from "./values.ts";

const seqs = (log: ChangesLog): number[] => log.entries.map(({ messageSeq }) => messageSeq);

test("changes of any order are applied in the order of their numbers, each once", () => {
  const log = new ChangesLog("c1", 0);
  for (const seq of [3, 1, 2, 2, 1, 5]) log.push(sent(seq));
  expect(seqs(log)).toEqual([1, 2, 3]);
  expect([log.appliedSeq, log.hasGap]).toEqual([3, true]);
  log.push(sent(4));
  expect(seqs(log)).toEqual([1, 2, 3, 4, 5]);
  expect(log.hasGap).toBe(false);
});

test("every order of delivery with repetitions gives the same log", () => {
  const changes = [sent(1), sent(2), change(3, "MESSAGE_EDITED", { message: partial(1, { content: "new", editTime: "2026-01-01T00:00:01Z" }) }),
    change(4, "MEMBERS_ADDED", { userIds: ["carol"] }), change(5, "MESSAGE_DELETED", { message: partial(2, { deleteTime: "2026-01-01T00:00:02Z" }) })];
  const expected = new ChangesLog("c1", 0);
  for (const one of changes) expected.push(one);
  for (let round = 0; round < 200; round += 1) {
    const log = new ChangesLog("c1", 0);
    const shuffled = [...changes, ...changes].sort(() => Math.random() - 0.5);
    for (const one of shuffled) log.push(one);
    expect(log.entries).toEqual(expected.entries);
  }
});

test("a fetched answer fills the gap, and what waited behind it follows", () => {
  const log = new ChangesLog("c1", 1);
  log.push(sent(5));
  log.fill([sent(2), sent(3), sent(4)], 5);
  expect(seqs(log)).toEqual([2, 3, 4, 5]);
  expect(log.appliedSeq).toBe(5);
});

test("numbers that the server leaves out are passed over: the user was no member then", () => {
  const log = new ChangesLog("c1", 3);
  log.push(sent(9));
  log.fill([sent(8)], 9);
  expect(seqs(log)).toEqual([8, 9]);
  log.fill([], 12);
  expect(log.appliedSeq).toBe(12);
});

test("an edit changes the text and keeps the rest of the message", () => {
  const log = new ChangesLog("c1", 0);
  log.push(sent(1));
  log.push(change(2, "MESSAGE_EDITED", { message: partial(1, { content: "new", editTime: "2026-01-01T00:00:01Z" }) }));
  expect(log.message("m1")).toMatchObject({ content: "new", senderId: "bob", clientMsgId: "of-1", ordinal: 1 });
  expect(seqs(log)).toEqual([1]);
});

test("an edit of a message that is not loaded is passed over", () => {
  const log = new ChangesLog("c1", 5);
  log.push(change(6, "MESSAGE_EDITED", { message: partial(1, { content: "new" }) }));
  expect(log.entries).toEqual([]);
  expect(log.appliedSeq).toBe(6);
});

test("an earlier state never replaces a later one, and a deletion is final", () => {
  const log = new ChangesLog("c1", 1);
  log.prepend([message(1, { content: "third", editTime: "2026-01-01T00:00:03.5Z" })]);
  log.push(change(2, "MESSAGE_EDITED", { message: partial(1, { content: "second", editTime: "2026-01-01T00:00:03Z" }) }));
  expect(log.message("m1")?.content).toBe("third");
  log.push(change(3, "MESSAGE_DELETED", { message: partial(1, { deleteTime: "2026-01-01T00:00:04Z" }) }));
  log.prepend([message(1, { content: "third" })]);
  expect(log.message("m1")).toMatchObject({ content: "", deleteTime: "2026-01-01T00:00:04Z" });
});

test("older pages and events come before what is loaded", () => {
  const log = new ChangesLog("c1", 4);
  log.prepend([message(4)]);
  log.prepend([message(1), message(3)]);
  log.prependEvents([sent(1), change(2, "MEMBERS_ADDED", { userIds: ["carol"] })]);
  expect(log.entries.map((entry) => ("kind" in entry ? entry.type : entry.messageId))).toEqual(["m1", "CHANGE_TYPE_MEMBERS_ADDED", "m3", "m4"]);
});

test("the entries are the same array until something changes", () => {
  const log = new ChangesLog("c1", 0);
  log.push(sent(1));
  const before = log.entries;
  log.push(sent(1));
  log.push(sent(3));
  expect(log.entries).toBe(before);
});

test("messages that have disappeared are dropped, and do not come back with an older page", () => {
  const log = new ChangesLog("c1", 10);
  log.prepend([message(8), message(9), message(10)]);
  log.hideBefore(10);
  expect(log.entries.map(({ messageSeq }) => messageSeq)).toEqual([10]);
  expect(log.message("m9")).toBeUndefined();
  log.prepend([message(9)]);
  log.hideBefore(5);
  expect(log.entries.map(({ messageSeq }) => messageSeq)).toEqual([10]);
});
