import { expect, test } from "vitest";
import { Positions } from "../../src/messages/positions.ts";

const member = (userId: string, joinedSeq = 1) => ({ userId, role: "ROLE_MEMBER" as const, joinedSeq });

test("the least position of all others counts, and reading is receiving", () => {
  const positions = new Positions();
  positions.load([member("bob"), member("carol")], [{ userId: "bob", deliveredSeq: 5, readSeq: 9 }, { userId: "carol", deliveredSeq: 7, readSeq: 2 }]);
  expect(positions.least()).toEqual({ deliveredSeq: 7, readSeq: 2 });
});

test("no position moves back", () => {
  const positions = new Positions();
  positions.load([member("bob")], [{ userId: "bob", deliveredSeq: 5, readSeq: 5 }]);
  expect(positions.push({ userId: "bob", deliveredSeq: 4, readSeq: 0 })).toBe(false);
  expect(positions.push({ userId: "bob", deliveredSeq: 6, readSeq: 0 })).toBe(true);
  positions.load([member("bob")], [{ userId: "bob", deliveredSeq: 1, readSeq: 1 }]);
  expect(positions.least()).toEqual({ deliveredSeq: 6, readSeq: 5 });
});

test("who joined later does not hold back what was written before", () => {
  const positions = new Positions();
  positions.load([member("bob"), member("dan", 10)], [{ userId: "bob", deliveredSeq: 9, readSeq: 9 }, { userId: "dan", deliveredSeq: 0, readSeq: 0 }]);
  expect(positions.least()).toEqual({ deliveredSeq: 9, readSeq: 9 });
});

test("without other members nothing is delivered", () => {
  expect(new Positions().least()).toEqual({ deliveredSeq: 0, readSeq: 0 });
});
