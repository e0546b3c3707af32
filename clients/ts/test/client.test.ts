import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Client } from "../src/client.ts";
import type { ConnectionState } from "../src/client_types.ts";
import { FakeSocket, fakeClient, settle, socket, welcome } from "./socket.ts";

let client: Client;
let states: ConnectionState[];

beforeEach(() => {
  vi.useFakeTimers();
  vi.spyOn(Math, "random").mockReturnValue(1);
});

afterEach(() => {
  client.close();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

function started(...args: Parameters<typeof fakeClient>): void {
  client = fakeClient(...args);
  states = [];
  client.on("state", (state) => states.push(state));
}

const waits = (): number[] => states.flatMap((state) => (state.state === "waiting" ? [state.attempt] : []));

test("a client says hello with its device, and is ready with the first session", async () => {
  started();
  const opened = await welcome();
  await client.ready;
  expect(opened.protocols).toEqual(["plaudit.v1.json", "bearer.token"]);
  expect(opened.url).toBe("ws://host:1/ws/connect");
  expect(opened.sent[0]).toMatchObject({ type: "hello", device: "phone" });
  expect([client.user, client.session, client.state]).toEqual(["me", "s1", "live"]);
});

test("a welcome alone does not reset the backoff; an answered frame does", async () => {
  started();
  for (const _ of [1, 2, 3]) {
    (await welcome()).cut();
    await vi.advanceTimersByTimeAsync(10_000);
  }
  expect(waits()).toEqual([0, 1, 2]);
  const opened = await welcome();
  opened.receive({ type: "pong", id: opened.last("ping").id!, seq: "0" });
  opened.cut();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(waits()).toEqual([0, 1, 2, 0]);
  const next = await welcome();
  next.cut();
  await vi.advanceTimersByTimeAsync(10_000);
  const last = await welcome();
  void client.call("get_counts");
  last.answer("get_counts");
  last.cut();
  expect(waits()).toEqual([0, 1, 2, 0, 1, 0]);
});

test("a lost socket is followed by a resume with the topics and the last push", async () => {
  started();
  client.subscribe(["users/me"]);
  const opened = await welcome();
  opened.receive({ type: "subscribed", id: opened.last("subscribe").id!, topics: ["users/me"] });
  opened.receive({ type: "new_message", topic: "users/me", seq: 1 });
  opened.cut();
  await vi.advanceTimersByTimeAsync(250);
  const complete: boolean[] = [];
  client.on("welcome", (detail) => complete.push(detail.complete));
  const resumed = await welcome({ verdict: "complete", seq: "1" });
  expect(resumed.sent[0]).toMatchObject({ type: "resume", session: "s1", seq: "1", topics: [{ topic: "users/me", version: "0" }] });
  expect(resumed.sent.filter(({ type }) => type === "subscribe")).toEqual([]);
  expect(complete).toEqual([true]);
});

test("a missing push closes the socket and resumes", async () => {
  started();
  const opened = await welcome();
  opened.receive({ type: "new_message", topic: "users/me", seq: 2 });
  expect(opened.closedWith).toBe(4000);
  await vi.advanceTimersByTimeAsync(250);
  expect((await welcome({ verdict: "complete" })).sent[0]).toMatchObject({ type: "resume", seq: "0" });
});

test("a goaway waits as long as the server says, and the old socket answers until then", async () => {
  started();
  const opened = await welcome();
  const call = client.call("get_counts");
  opened.receive({ type: "goaway", reconnect_after_ms: 700 });
  expect(client.state).toBe("moving");
  opened.answer("get_counts", { counts: [] });
  await call;
  await vi.advanceTimersByTimeAsync(699);
  expect(FakeSocket.all).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(FakeSocket.all).toHaveLength(2);
});

test("several URLs are tried in turn", async () => {
  started("token", ["ws://one:1", "ws://two:1"]);
  await settle();
  socket().cut();
  await vi.advanceTimersByTimeAsync(250);
  expect(FakeSocket.all.map(({ url }) => url)).toEqual(["ws://one:1/ws/connect", "ws://two:1/ws/connect"]);
});

test("a token is renewed on the open socket before it expires", async () => {
  const tokens = ["first", "second"];
  started(() => tokens.shift() ?? "third");
  const opened = await welcome({ server_time_ms: "1000", token_expire_time_ms: "41000" });
  const pong = () => opened.receive({ type: "pong", id: opened.last("ping").id!, seq: "0" });
  pong();
  await vi.advanceTimersByTimeAsync(29_000);
  expect(opened.sent.some(({ type }) => type === "renew_token")).toBe(false);
  await vi.advanceTimersByTimeAsync(7_000);
  expect(opened.last("renew_token").token).toBe("second");
  opened.receive({ type: "token_renewed", id: opened.last("renew_token").id!, server_time_ms: "0", token_expire_time_ms: "3600000" });
  pong();
  await vi.advanceTimersByTimeAsync(20_000); // past the end of the first token
  expect(FakeSocket.all).toHaveLength(1);
});

test("an expired token is replaced once; the same token again ends the client", async () => {
  started(() => "old");
  const opened = await welcome();
  opened.cut(4500, "TOKEN_EXPIRED");
  await settle();
  expect(states.at(-1)).toMatchObject({ state: "ended", code: 4500, reason: "The token has expired." });
});

test("a replaced session ends the client, and its calls fail", async () => {
  started();
  const opened = await welcome();
  const call = client.call("get_counts");
  const error = expect(call).rejects.toMatchObject({ code: "CANCELLED", reason: "CONNECTION_ENDED" });
  opened.cut(4504, "replaced");
  await error;
  expect(states.at(-1)).toMatchObject({ state: "ended", replaced: true });
  await expect(client.call("get_counts")).rejects.toMatchObject({ code: "CANCELLED" });
});

test("a refused resume is followed by a hello", async () => {
  started();
  vi.spyOn(console, "warn").mockReturnValue();
  (await welcome()).cut();
  await vi.advanceTimersByTimeAsync(250);
  socket().open();
  socket().refuse("resume", { code: "INVALID_ARGUMENT", reason: "INVALID_FRAME" });
  await vi.advanceTimersByTimeAsync(500);
  expect((await welcome()).sent[0]!.type).toBe("hello");
});

test("a socket that does not answer a ping in 10 s is replaced", async () => {
  started();
  const opened = await welcome();
  await vi.advanceTimersByTimeAsync(10_000);
  expect(opened.closedWith).toBe(4000);
  expect(client.state).toBe("waiting");
});

test("a message that is no frame closes the socket and resumes", async () => {
  started();
  vi.spyOn(console, "warn").mockReturnValue();
  const opened = await welcome();
  opened.onmessage?.({ data: "no JSON" });
  expect(opened.closedWith).toBe(4000);
  expect(client.state).toBe("waiting");
});

test("durable pushes are acknowledged together, within 500 ms, and others are not", async () => {
  started();
  const opened = await welcome();
  const acks = () => opened.sent.filter(({ type }) => type === "ack").map(({ seq }) => seq);
  opened.receive({ type: "receipt", topic: "users/me" });
  await vi.advanceTimersByTimeAsync(500);
  expect(acks()).toEqual([]);
  for (const seq of [1, 2, 3]) opened.receive({ type: "new_message", topic: "users/me", seq });
  await vi.advanceTimersByTimeAsync(500);
  expect(acks()).toEqual(["3"]);
  opened.receive({ type: "new_message", topic: "users/me", seq: 4 });
  await vi.advanceTimersByTimeAsync(500);
  expect(acks()).toEqual(["3", "4"]);
});
