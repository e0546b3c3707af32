import { expect, test } from "vitest";
import { PlauditError } from "../../src/errors.ts";
import { settle } from "../socket.ts";
import { answerLoads, message, pushed, ready, rig, sent, startForEach } from "./messenger_rig.ts";

startForEach();

const pin = (messageSeq: number) => ({ message: pushed(messageSeq), pinned_by: "bob", pin_time: "2026-01-01T00:00:00Z" });
const shown = (): unknown => rig.messenger.pins("c1").map(({ message: pinned }) => pinned.messageId);
const changed = (messageSeq: number, type: string) => ({
  type: "message_changed", topic: "users/me", conversation_id: "c1", change: { message_seq: messageSeq, type: `CHANGE_TYPE_${type}`, actor_id: "bob" },
});

test("the pinned messages of an open conversation are read, and again where another member pins one", async () => {
  const socket = await ready();
  let events = 0;
  rig.messenger.on("pins", () => (events += 1));
  rig.pins = [pin(3)];
  rig.messenger.open("c1");
  await answerLoads(socket);
  expect([shown(), events]).toEqual([["m3"], 1]);
  rig.pins = [pin(7), pin(3)];
  socket.receive(changed(11, "MESSAGE_PINNED"));
  await answerLoads(socket);
  expect([shown(), events]).toEqual([["m7", "m3"], 2]);
  socket.receive({ type: "messages_expired", topic: "users/me", conversation_id: "c1", visible_from_seq: 5 });
  await settle();
  expect(shown()).toEqual(["m7"]);
});

test("a change while the pinned messages are read has them read once more", async () => {
  const socket = await ready();
  rig.messenger.open("c1");
  await answerLoads(socket);
  const before = sent(socket, "list_pinned_messages").length;
  socket.receive(changed(11, "MESSAGE_PINNED"));
  socket.receive(changed(12, "MESSAGE_UNPINNED"));
  socket.receive(changed(13, "MESSAGE_PINNED"));
  await answerLoads(socket);
  expect(sent(socket, "list_pinned_messages").length - before).toBe(2);
});

test("a message is pinned, unpinned and reported by its id, and a refusal rejects", async () => {
  const socket = await ready();
  rig.messenger.open("c1");
  await answerLoads(socket);
  socket.receive(pushed(11));
  const shownMessage = message(0);
  const pinned = rig.messenger.pinMessage("c1", shownMessage);
  socket.refuse("pin_message", { code: "PERMISSION_DENIED", reason: "ADMINS_ONLY" });
  await expect(pinned).rejects.toBeInstanceOf(PlauditError);
  const unpinned = rig.messenger.unpinMessage("c1", shownMessage);
  expect(socket.last("unpin_message")).toMatchObject({ conversation_id: "c1", message_id: "m11" });
  socket.answer("unpin_message", { message_seq: 12 });
  await unpinned;
  const reported = rig.messenger.reportMessage("c1", shownMessage, "REPORT_REASON_SPAM", "Again");
  expect(socket.last("report_message")).toMatchObject({ message_id: "m11", reason: "REPORT_REASON_SPAM", comment: "Again" });
  socket.answer("report_message", { report_id: "r1" });
  await reported;
});
