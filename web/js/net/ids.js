// Ids made in the browser: operations, devices.

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** A UUIDv7 (RFC 9562): 48 bits of milliseconds, then randomness; later ids sort later. */
export function uuid7(now = Date.now()) {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let place = 5, rest = now; place >= 0; place -= 1, rest = Math.floor(rest / 256)) bytes[place] = rest % 256;
  bytes[6] = 0x70 | (bytes[6] & 0x0f);
  bytes[8] = 0x80 | (bytes[8] & 0x3f);
  const text = Array.from(bytes, (byte) => HEX[byte]).join("");
  return [text.slice(0, 8), text.slice(8, 12), text.slice(12, 16), text.slice(16, 20), text.slice(20)].join("-");
}

const DEVICE = "plaudit.device";

/**
 * This tab's device id: the same after a reload, another in every other tab.
 *
 * A duplicated tab starts with a copy of its sessionStorage. Two tabs under one device id would keep closing each
 * other's session, so a lock is held for the life of the tab, and whoever finds it taken makes an id of its own.
 */
export async function deviceOfThisTab() {
  const kept = sessionStorage.getItem(DEVICE) ?? uuid7();
  const device = (await hold(`plaudit.device.${kept}`)) ? kept : uuid7();
  sessionStorage.setItem(DEVICE, device);
  return device;
}

function hold(name) {
  if (!navigator.locks) return Promise.resolve(true);
  return new Promise((resolve) => {
    navigator.locks.request(name, { ifAvailable: true }, (lock) => {
      resolve(lock !== null);
      return lock && new Promise(() => {});
    });
  });
}
