import { expect, test, vi } from "vitest";
import { settle } from "../socket.ts";
import { answerLoads, conversation, opened, pushed, ready, rig, sent, start, startForEach } from "./messenger_rig.ts";

startForEach();

test("messages of the backlog are in the list and not announced; the server hears of them by the ack of the pushes", async () => {
  rig.client.close();
  start(undefined, { backlog: true });
  const announced: string[] = [];
  rig.messenger.on("message", ({ message }) => announced.push(message.content));
  const socket = await opened();
  expect(socket.sent[0]).toMatchObject({ type: "hello", device: "phone", backlog: true });
  socket.receive({ ...pushed(9), seq: 1 });
  socket.receive({ ...pushed(10), seq: 2 });
  socket.receive({ ...pushed(3, { conversation_id: "c2" }), seq: 3 });
  socket.receive({ type: "backlog_done", conversations: 2, messages: 3, incomplete: [] });
  await answerLoads(socket);
  socket.receive({ ...pushed(11), seq: 4 });
  await vi.advanceTimersByTimeAsync(500);
  expect(announced).toEqual(["text 11"]);
  expect(socket.last("ack").seq).toBe("4");
  expect(sent(socket, "get_conversation").map((frame) => frame.conversation_id)).toEqual(["c2"]);
  expect(sent(socket, "mark_delivered")).toEqual([]);
});

test("a conversation with more than the backlog brings is delivered by a call, once the list is loaded", async () => {
  rig.client.close();
  start(undefined, { backlog: true });
  const socket = await opened();
  socket.receive({ type: "backlog_done", conversations: 1, messages: 0, incomplete: ["c1"] });
  expect(sent(socket, "mark_delivered")).toEqual([]);
  const list = socket.last("list_conversations");
  socket.receive({ type: "ack", id: list.id!, conversations: [conversation({ last_message: pushed(10) })] });
  await settle();
  expect(sent(socket, "mark_delivered")).toMatchObject([{ conversation_id: "c1", message_id: "m10" }]);
});

test("a resumed session that missed nothing has no backlog: its pushes are announced", async () => {
  rig.client.close();
  start(undefined, { backlog: true });
  const socket = await ready();
  socket.receive({ type: "backlog_done", incomplete: [] });
  socket.cut();
  await vi.advanceTimersByTimeAsync(250);
  const announced: string[] = [];
  rig.messenger.on("message", ({ message }) => announced.push(message.content));
  const next = await ready({ verdict: "complete" });
  expect(next.sent[0]).toMatchObject({ type: "resume", backlog: true });
  next.receive(pushed(11));
  expect(announced).toEqual(["text 11"]);
});

test("messages that the list was loaded with before their pushes arrived are announced, each once", async () => {
  rig.head = 12;
  const announced: string[] = [];
  rig.messenger.on("message", ({ message }) => announced.push(message.content));
  const socket = await ready();
  for (const number of [11, 12, 12]) socket.receive(pushed(number));
  expect(announced).toEqual(["text 11", "text 12"]);
});
