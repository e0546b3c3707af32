import { expect, test } from "vitest";
import { uuid7 } from "../src/ids.ts";

test("ids are UUIDs of version 7 in the order of time", () => {
  const [early, late] = [uuid7(1_700_000_000_000), uuid7(1_700_000_000_001)];
  expect(early < late).toBe(true);
  expect(early).toMatch(/^018bcfe5-6800-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

test("ids sort in the order in which they are made, also within a millisecond and where the clock goes back", () => {
  const ids = Array.from({ length: 10_000 }, (_, index) => uuid7(1_700_000_001_000 - (index % 3)));
  expect([...ids].sort()).toEqual(ids);
  expect(new Set(ids).size).toBe(ids.length);
});
