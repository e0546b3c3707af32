// Frames in protobuf: each message is a `ClientFrame` or a `ServerFrame` of the contracts.

import { type DescMessage, type JsonObject, create, createRegistry, fromBinary, fromJson, getOption, hasOption, toBinary, toJson } from "@bufbuild/protobuf";
import type { Codec, Fields, Frame } from "../connection/codec.ts";
import { edge, files, gateway } from "./gen/index.ts";

interface Call {
  input: DescMessage;
  output: DescMessage;
}

const registry = createRegistry(...files);
const calls = new Map<string, Call>();
const pushes = new Map<string, DescMessage>();
for (const type of registry) {
  if (type.kind === "message" && hasOption(type, edge.push)) pushes.set(getOption(type, edge.push), type);
  if (type.kind !== "service") continue;
  for (const method of type.methods) if (hasOption(method, edge.frame)) calls.set(getOption(method, edge.frame).type, method);
}
// The names that JSON frames have, with all fields.
const AS_FRAME = { registry, useProtoFieldName: true, alwaysEmitImplicit: true };

/** The subprotocol `plaudit.v1.proto`, for the option `codec` of one client: an answer is read by the type of its call. */
export function binaryCodec(): Codec {
  const pending = new Map<number, Call>();

  function encode({ type, id = 0, ...fields }: Frame): Uint8Array<ArrayBuffer> {
    // A new socket: what the old one did not answer is sent again, or never answered.
    if (type === "hello" || type === "resume") pending.clear();
    const call = calls.get(type);
    if (!call) return toBinary(gateway.ClientFrameSchema, fromJson(gateway.ClientFrameSchema, { id: String(id), [type]: json(fields) }, { registry }));
    pending.set(id, call);
    const request = toBinary(call.input, fromJson(call.input, json(fields), { registry }));
    const frame = { id: BigInt(id), body: { case: "call" as const, value: create(gateway.CallFrameSchema, { type, request }) } };
    return toBinary(gateway.ClientFrameSchema, create(gateway.ClientFrameSchema, frame));
  }

  function decode(data: string | ArrayBuffer): Frame {
    const { id: bigId, body } = fromBinary(gateway.ServerFrameSchema, new Uint8Array(data as ArrayBuffer));
    const id = Number(bigId);
    const call = pending.get(id);
    if (body.case === "ack" || body.case === "error") pending.delete(id);
    if (body.case === undefined) return { type: "", id };
    if (body.case === "ack") return { ...(call ? asFields(call.output, body.value.response) : {}), type: "ack", id };
    if (body.case === "push") {
      const { topic, type, payload, seq } = body.value;
      const push = pushes.get(type);
      return { ...(push ? asFields(push, payload) : {}), type, topic, seq: String(seq) };
    }
    if (body.case === "error") body.value.details = []; // as in JSON: what they say is in the other fields
    const snake = body.case.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    const fields = toJson(registry.getMessage(body.value.$typeName)!, body.value, AS_FRAME) as JsonObject;
    return { ...fields, type: snake, id };
  }

  return { subprotocol: "plaudit.v1.proto", encode, decode };
}

const asFields = (type: DescMessage, data: Uint8Array): Fields => toJson(type, fromBinary(type, data), AS_FRAME) as JsonObject;

// As in a JSON frame, members that are undefined are absent.
const json = (fields: Fields): JsonObject => JSON.parse(JSON.stringify(fields)) as JsonObject;
