// The time between attempts.

const MIN_MS = 250;
const MAX_MS = 10_000;

/**
 * Milliseconds to wait before attempt `attempt` (from 0), at least `minimum`, which is what the server asks for.
 *
 * Exponential, with jitter over the upper half, so that the clients of a lost server do not return at the same time.
 */
export function backoffDelay(attempt: number, { minimum = 0, random = Math.random } = {}): number {
  const longest = Math.min(MAX_MS, MIN_MS * 2 ** Math.min(attempt, 10));
  return Math.max(minimum, longest / 2 + (random() * longest) / 2);
}
