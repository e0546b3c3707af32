// Frames as they travel over the socket.

/** A frame: flat, with the field names of the contracts (`op_id`). `type` names what it is. */
export type Frame = { type: string; id?: number; topic?: string; seq?: number | string } & Record<string, unknown>;

/** The fields of a call or of its answer. */
export type Fields = Record<string, unknown>;

/** How frames are written to the socket. */
export interface Codec {
  readonly subprotocol: string;
  encode(frame: Frame): string | Uint8Array<ArrayBuffer>;
  decode(data: string | ArrayBuffer): Frame;
}

/** One JSON object a message. */
export const jsonCodec: Codec = {
  subprotocol: "plaudit.v1.json",
  encode: (frame) => JSON.stringify(frame),
  decode: (data) => JSON.parse(data as string) as Frame,
};
