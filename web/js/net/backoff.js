// How long to wait before trying again.

const FLOOR_MS = 250;
const CEILING_MS = 10_000;

/**
 * Milliseconds to wait before attempt `attempt` (from 0): exponential with full jitter above half, so that a thousand
 * tabs that lost one server do not come back in step. Never less than `atLeast`, which is what the server asked for.
 */
export function delay(attempt, { atLeast = 0, random = Math.random } = {}) {
  const ceiling = Math.min(CEILING_MS, FLOOR_MS * 2 ** Math.min(attempt, 10));
  return Math.max(atLeast, ceiling / 2 + (random() * ceiling) / 2);
}
