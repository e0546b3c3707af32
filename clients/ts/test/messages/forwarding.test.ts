import { expect, test } from "vitest";
import { settle } from "../socket.ts";
import { accept, answerLoads, message, pushed, ready, rig, start, startForEach } from "./messenger_rig.ts";
import { MemoryStorage } from "./values.ts";

startForEach();

test("a forwarded message is shown at once with its mark, and sent by reference", async () => {
  const socket = await ready();
  rig.messenger.open("c1");
  await answerLoads(socket);
  socket.receive(pushed(11, { forward_count: 2 }));
  expect(message(0).forwardCount).toBe(2);
  void rig.messenger.forward("c1", message(0));
  expect(message(1)).toMatchObject({ content: "text 11", forwardCount: 3, status: "pending" });
  await settle();
  const frame = socket.last("send_message");
  expect(frame).toMatchObject({ conversation_id: "c1", forward_of: "m11", client_msg_id: message(1).clientMsgId });
  expect(frame).not.toHaveProperty("content");
  await accept(socket, 12);
  expect(message(1)).toMatchObject({ content: "text 11", forwardCount: 3, status: "sent" });
});

test("the mark says five times at most", async () => {
  const socket = await ready();
  rig.messenger.open("c1");
  await answerLoads(socket);
  socket.receive(pushed(11, { forward_count: 5 }));
  void rig.messenger.forward("c1", message(0));
  expect(message(1).forwardCount).toBe(5);
});

test("a forwarded message that another page has left is sent with the same id", async () => {
  const storage = new MemoryStorage();
  rig.client.close();
  start(storage);
  const first = await ready();
  rig.messenger.open("c1");
  await answerLoads(first);
  first.receive(pushed(11));
  void rig.messenger.forward("c1", message(0));
  await settle();
  const { client_msg_id } = first.last("send_message");
  rig.client.close();
  start(storage);
  const second = await ready();
  expect(second.last("send_message")).toMatchObject({ forward_of: "m11", client_msg_id });
});

test("a refused forwarded message that is edited is sent as what the user wrote", async () => {
  const socket = await ready();
  rig.messenger.open("c1");
  await answerLoads(socket);
  socket.receive(pushed(11));
  void rig.messenger.forward("c1", message(0));
  await settle();
  socket.refuse("send_message", { code: "NOT_FOUND", reason: "MESSAGE_NOT_FOUND" });
  await settle();
  void rig.messenger.edit("c1", message(1), "My own words");
  void rig.messenger.retry("c1", message(1));
  await settle();
  expect(socket.last("send_message")).toMatchObject({ content: "My own words" });
  expect(socket.last("send_message")).not.toHaveProperty("forward_of");
});
