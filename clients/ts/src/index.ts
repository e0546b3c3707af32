// The client of Plaudit for browsers and Node.

export { getPreferences, logOutOtherDevices, updatePreferences } from "./account.ts";
export type { Audience, Preferences } from "./account.ts";
export { Client, connect } from "./client.ts";
export type { ClientEvents, ConnectionState, Options } from "./client_types.ts";
export { backoffDelay } from "./connection/backoff.ts";
export type { Codec, Fields, Frame } from "./connection/codec.ts";
export type { CallOptions } from "./connection/pending_calls.ts";
export type { Tokens } from "./connection/token_renewal.ts";
export { PlauditError } from "./errors.ts";
export { tabDeviceId, uuid7 } from "./ids.ts";
export { Messenger } from "./messages/messenger.ts";
export type { MessengerEvents, MessengerOptions, SendOptions } from "./messages/messenger.ts";
export type { QueueStorage } from "./messages/outbox.ts";
export type * from "./messages/types.ts";
