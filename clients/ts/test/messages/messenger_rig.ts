// A messenger on a fake socket, with a conversation `c1`, whose reads are answered.

import { afterEach, beforeEach, vi } from "vitest";
import type { Client } from "../../src/client.ts";
import type { Fields, Frame } from "../../src/connection/codec.ts";
import { Messenger } from "../../src/messages/messenger.ts";
import type { Item, Message } from "../../src/messages/types.ts";
import { type FakeSocket, fakeClient, settle, welcome } from "../socket.ts";
import type { MemoryStorage } from "./values.ts";

/** What the tests of a file share; another client and messenger for each test. */
export const rig = {
  client: undefined as unknown as Client,
  messenger: undefined as unknown as Messenger,
  /** The number of the last change of `c1`. */
  head: 10,
  /** The pinned messages of `c1`. */
  pins: [] as Fields[],
};

export function conversation(fields: Fields = {}): Fields {
  return {
    conversation_id: "c1", type: "CONVERSATION_TYPE_GROUP", name: "Team", last_message_seq: rig.head, unread_count: 0,
    update_time: "2026-01-01T00:00:00Z", membership: { role: "ROLE_MEMBER", read_seq: rig.head }, ...fields,
  };
}

export function pushed(messageSeq: number, fields: Fields = {}): Frame {
  return {
    type: "new_message", topic: "users/me", conversation_id: "c1", message_id: `m${messageSeq}`, sender_id: "bob", content: `text ${messageSeq}`,
    message_seq: messageSeq, timestamp: 1_767_225_600_000 + messageSeq, ...fields,
  };
}

/** Starts a client and a messenger before each test of a file, with a fixed time. */
export function startForEach(): void {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.spyOn(Math, "random").mockReturnValue(1);
    rig.head = 10;
    rig.pins = [];
    start();
  });
  afterEach(() => {
    rig.client.close();
    vi.restoreAllMocks();
    vi.useRealTimers();
  });
}

export function start(storage?: MemoryStorage, options: { backlog?: boolean; device?: string } = {}): void {
  rig.client = fakeClient("token", "ws://host:1", options);
  rig.messenger = new Messenger(rig.client, storage ? { storage } : {});
}

/** Opens a session, and confirms its topics. */
export async function opened(fields: Fields = {}): Promise<FakeSocket> {
  const socket = await welcome(fields);
  for (const frame of socket.sent.filter(({ type }) => type === "subscribe")) {
    socket.receive({ type: "subscribed", id: frame.id!, topics: frame.topics as string[] });
  }
  await settle();
  return socket;
}

/** Opens a session, and answers what the messenger loads with it. */
export async function ready(fields: Fields = {}): Promise<FakeSocket> {
  const socket = await opened(fields);
  await answerLoads(socket);
  return socket;
}

const LOADS: Record<string, (frame: Frame) => Fields> = {
  list_conversations: ({ archived }) => ({ conversations: archived ? [] : [conversation()] }),
  get_conversation: () => ({ conversation: conversation() }),
  list_messages: () => ({ messages: [], older_page_token: "" }),
  list_changes: ({ after_seq }) => ({
    changes: Array.from({ length: Math.max(0, rig.head - Number(after_seq)) }, (_, index) => {
      const seq = Number(after_seq) + index + 1;
      return { message_seq: seq, type: "CHANGE_TYPE_MESSAGE_SENT", message: pushed(seq) };
    }).filter(({ message_seq: seq }) => seq > 10),
    last_message_seq: rig.head,
  }),
  list_members: () => ({ members: [{ user_id: "me", role: "ROLE_MEMBER" }, { user_id: "bob", role: "ROLE_ADMIN" }] }),
  list_pinned_messages: () => ({ pinned_messages: rig.pins }),
  list_receipts: () => ({ receipts: [{ user_id: "bob", delivered_seq: 0, read_seq: 0 }] }),
};
const answered = new WeakSet<Frame>();

/** Answers all reads until there are no more. */
export async function answerLoads(to: FakeSocket): Promise<void> {
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
export async function accept(to: FakeSocket, messageSeq: number): Promise<string> {
  const { content, client_msg_id } = to.last("send_message");
  to.answer("send_message", { message_id: `m${messageSeq}`, conversation_id: "c1", client_msg_id, message_seq: messageSeq, timestamp: 1 });
  await settle();
  return String(content);
}

const items = (): readonly Item[] => rig.messenger.timeline("c1").items;
export const contents = (): unknown[] => items().map((item) => (item.kind === "message" ? [item.content, item.status] : item.type));
export const message = (index: number): Message => items()[index] as Message;
export const sent = (to: FakeSocket, type: string): Frame[] => to.sent.filter((frame) => frame.type === type);
export const calls = (to: FakeSocket, type: string): unknown[] => sent(to, type).map(({ content }) => content);
