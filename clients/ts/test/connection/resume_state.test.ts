import { expect, test } from "vitest";
import type { Frame } from "../../src/connection/codec.ts";
import { ResumeState } from "../../src/connection/resume_state.ts";

const WELCOME: Frame = { type: "welcome", session: "s1", resume_token: "t1" };
const own = (seq: number): Frame => ({ type: "own_reaction_update", topic: "users/me", target: "posts/1", version: "7", seq });
const state = (version: string): Frame => ({ type: "reaction_update", topic: "posts/1", version });

test("without a session there is nothing to resume", () => {
  const resume = new ResumeState();
  expect(resume.request(["posts/1"])).toBeNull();
  expect(resume.onOpened(WELCOME)).toEqual([]);
  resume.reset();
  expect(resume.request([])).toBeNull();
});

test("a session is resumed from the last push, with the newest versions", () => {
  const resume = new ResumeState();
  resume.onOpened(WELCOME);
  resume.onPush(state("9007199254740995"));
  resume.onPush(state("9007199254740993"));
  resume.onPush(own(1));
  resume.onPong({ type: "pong", seq: "1", resume_token: "t2" });
  expect(resume.request(["posts/1", "posts/2", "users/me"])).toEqual({
    session: "s1",
    resume_token: "t2",
    seq: "1",
    topics: [
      { topic: "users/me", version: "0" },
      { topic: "posts/1", version: "9007199254740995" },
      { topic: "posts/2", version: "0" },
    ],
  });
  expect(resume.onOpened({ ...WELCOME, verdict: "partial", seq: "1" })).toEqual(["users/me", "posts/1", "posts/2"]);
});

test("a topic with the updates of several targets has no version", () => {
  const resume = new ResumeState();
  resume.onOpened(WELCOME);
  resume.onPush({ type: "reaction_update", topic: "conversations/c", target: "messages/m", version: "9" });
  expect(resume.request(["conversations/c"])?.topics).toEqual([{ topic: "conversations/c", version: "0" }]);
});

test("a reset session has no topics and counts from 0", () => {
  const resume = new ResumeState();
  resume.onOpened(WELCOME);
  resume.onPush(own(1));
  resume.request(["posts/1"]);
  expect(resume.onOpened({ type: "resumed", session: "s2", resume_token: "t9", verdict: "reset", seq: "0" })).toEqual([]);
  expect(resume.seq).toBe(0n);
});

test("a gap in the numbers is noticed by the next push or pong", () => {
  const resume = new ResumeState();
  resume.onOpened(WELCOME);
  expect([own(1), own(2), own(2), own(4)].map((frame) => resume.onPush(frame))).toEqual([true, true, true, false]);
  expect(resume.onPong({ type: "pong", seq: "2" })).toBe(true);
  expect(resume.onPong({ type: "pong", seq: "3" })).toBe(false);
  expect(resume.seq).toBe(2n);
});

test("a resume fits into the first message", () => {
  const resume = new ResumeState();
  resume.onOpened({ type: "welcome", session: "s".repeat(64), resume_token: "t".repeat(300) });
  const asked = resume.request(Array.from({ length: 128 }, (_, index) => `messages/${"x".repeat(60)}${index}`));
  const frame = { type: "resume", id: 1, device: "d".repeat(64), client: "c", ...asked };
  expect(JSON.stringify(frame).length).toBeLessThan(4096);
  expect((asked?.topics as unknown[]).length).toBeGreaterThan(20);
});
