// What a user decides for the account: which devices stay logged in, and what others may do and see.

import type { Client } from "./client.ts";
import type { Fields } from "./connection/codec.ts";

export type Audience = "AUDIENCE_EVERYONE" | "AUDIENCE_CONTACTS" | "AUDIENCE_NOBODY";

export interface Preferences {
  /** Who may begin a direct conversation with the user. */
  readonly whoMayWrite: Audience;
  /** Who may make the user a member of a group or channel. */
  readonly whoMayAdd: Audience;
  /** Whether other members see what the user has read. */
  readonly readReceipts: boolean;
  /** Whether others find the user by its telephone number. */
  readonly phoneLookup: boolean;
}

/**
 * Logs out all other devices of the user: their sockets are closed with the code 4505, and they do not reconnect by themselves.
 * Tokens that these devices have open no session any more. Returns how many sessions have ended. The client needs the option `device`.
 */
export async function logOutOtherDevices(client: Client): Promise<number> {
  return Number((await client.call("end_sessions", { all_except_device_id: client.device })).ended ?? 0);
}

export async function getPreferences(client: Client): Promise<Preferences> {
  return preferences(await client.call("get_preferences", {}));
}

/** Changes those that are given; returns all as they are then. */
export async function updatePreferences(client: Client, changes: Partial<Preferences>): Promise<Preferences> {
  const { whoMayWrite, whoMayAdd, readReceipts, phoneLookup } = changes;
  return preferences(await client.call("update_preferences", {
    ...(whoMayWrite && { who_may_write: whoMayWrite }),
    ...(whoMayAdd && { who_may_add: whoMayAdd }),
    ...(readReceipts !== undefined && { read_receipts: readReceipts }),
    ...(phoneLookup !== undefined && { phone_lookup: phoneLookup }),
  }));
}

function preferences(answer: Fields): Preferences {
  const fields = (answer.preferences ?? {}) as Fields;
  return {
    whoMayWrite: fields.who_may_write as Audience,
    whoMayAdd: fields.who_may_add as Audience,
    readReceipts: Boolean(fields.read_receipts),
    phoneLookup: Boolean(fields.phone_lookup),
  };
}
