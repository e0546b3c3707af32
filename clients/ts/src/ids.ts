// Ids made by the client, for operations, messages and devices.

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const COUNTER_LIMIT = 1 << 12;

let lastTime = 0;
let counter = 0;

/**
 * A UUIDv7 (RFC 9562): 48 bits of milliseconds, 12 bits that count the ids of one millisecond (method 1 of section 6.2), then
 * randomness. An id sorts after all ids that this function has made before, also where the clock has gone back.
 */
export function uuid7(now = Date.now()): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  counter = now > lastTime ? ((bytes[6]! & 0x07) << 8) | bytes[7]! : counter + 1; // the upper half is for further ids
  lastTime = Math.max(lastTime, now);
  if (counter === COUNTER_LIMIT) {
    lastTime += 1;
    counter = 0;
  }
  for (let index = 5, rest = lastTime; index >= 0; index -= 1, rest = Math.floor(rest / 256)) bytes[index] = rest % 256;
  bytes[6] = 0x70 | (counter >> 8);
  bytes[7] = counter & 0xff;
  bytes[8] = 0x80 | (bytes[8]! & 0x3f);
  const text = Array.from(bytes, (byte) => HEX[byte]).join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}

const DEVICE_KEY = "plaudit.device";

/**
 * The device id of this tab: the same after a reload, different in every other tab.
 *
 * A duplicated tab starts with a copy of the sessionStorage. Two tabs with one device id would close each other's
 * session again and again. So a tab locks its id as long as it is open, and makes a new id where the lock is taken.
 */
export async function tabDeviceId(): Promise<string> {
  const saved = sessionStorage.getItem(DEVICE_KEY) ?? uuid7();
  const device = (await lockUntilClosed(`plaudit.device.${saved}`)) ? saved : uuid7();
  sessionStorage.setItem(DEVICE_KEY, device);
  return device;
}

// Resolves with false where another tab has the lock.
function lockUntilClosed(name: string): Promise<boolean> {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    void navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    });
  });
}
