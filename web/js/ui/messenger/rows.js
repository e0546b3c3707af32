// The rows of a thread: its items, with a heading for each day and a mark before what is unread. Pure.

import { formatDay } from "./texts.js";

const GROUP_MS = 5 * 60_000; // messages of one sender that follow each other closer than this are one group

/**
 * `[{type: "day", key, label} | {type: "unread", key} | {type: "events", key, events} | {type: "message", key, message, first, last}]`.
 *
 * `first` and `last`: the message begins or ends a group. `readSeq`: up to which number this user had read when the thread was
 * opened; null: no mark is shown. Successive events by one user that add members are one row.
 */
export function threadRows(items, { readSeq = null, now = Date.now() } = {}) {
  const rows = [];
  let day = "";
  let isMarked = readSeq === null;
  for (const item of items) {
    const label = formatDay(item.timestamp, now);
    if (label !== day) rows.push({ type: "day", key: `day ${label}`, label });
    day = label;
    if (!isMarked && item.kind === "message" && !item.own && !item.deleted && item.messageSeq > readSeq) {
      rows.push({ type: "unread", key: "unread" });
      isMarked = true;
    }
    const before = rows.at(-1);
    if (item.kind === "event") {
      if (before?.type === "events" && isSameAddition(before.events.at(-1), item)) before.events.push(item);
      else rows.push({ type: "events", key: item.key, events: [item] });
      continue;
    }
    const continues = before?.type === "message" && isSameGroup(before.message, item);
    if (continues) before.last = false;
    rows.push({ type: "message", key: item.key, message: item, first: !continues, last: true });
  }
  return rows;
}

/** The first event of a row, with the users of all of them. */
export function mergedEvent(events) {
  return { ...events[0], userIds: [...new Set(events.flatMap(({ userIds }) => userIds ?? []))] };
}

const isSameGroup = (one, other) => one.senderId === other.senderId && other.timestamp - one.timestamp < GROUP_MS;

const isSameAddition = (one, other) => one.type === "CHANGE_TYPE_MEMBERS_ADDED" && other.type === one.type && one.actorId === other.actorId;
