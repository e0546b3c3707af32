import { expect, test, vi } from "vitest";
import { getPreferences, logOutOtherDevices, updatePreferences } from "../src/account.ts";
import { fakeClient, welcome } from "./socket.ts";

const answer = { preferences: { who_may_write: "AUDIENCE_CONTACTS", who_may_add: "AUDIENCE_EVERYONE", phone_lookup: true } };
const read = { whoMayWrite: "AUDIENCE_CONTACTS", whoMayAdd: "AUDIENCE_EVERYONE", readReceipts: false, phoneLookup: true };

test("all other devices are logged out, and preferences are read and changed one by one", async () => {
  vi.useFakeTimers();
  const client = fakeClient("token", "ws://host:1", { device: "phone" });
  const socket = await welcome();
  const ended = logOutOtherDevices(client);
  expect(socket.last("end_sessions")).toMatchObject({ all_except_device_id: "phone" });
  socket.answer("end_sessions", { ended: 2 });
  expect(await ended).toBe(2);
  const found = getPreferences(client);
  socket.answer("get_preferences", answer);
  expect(await found).toEqual(read);
  const changed = updatePreferences(client, { readReceipts: false });
  const { type: _, id: __, ...fields } = socket.last("update_preferences");
  expect(fields).toEqual({ read_receipts: false });
  socket.answer("update_preferences", answer);
  expect(await changed).toEqual(read);
  client.close();
  vi.useRealTimers();
});
