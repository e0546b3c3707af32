import { expect, test } from "vitest";
import { backoffDelay } from "../../src/connection/backoff.ts";

test("waits grow up to a ceiling and never undercut the server", () => {
  const most = { random: () => 1 };
  expect([0, 3, 50].map((attempt) => backoffDelay(attempt, most))).toEqual([250, 2000, 10_000]);
  expect(backoffDelay(0, { minimum: 4000 })).toBe(4000);
});

test("waits are spread over the upper half", () => {
  expect(backoffDelay(3, { random: () => 0 })).toBe(1000);
  expect(backoffDelay(3, { random: () => 0.5 })).toBe(1500);
});
