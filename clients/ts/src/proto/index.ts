// The stubs of the contracts, by package, and the binary subprotocol. Needs @bufbuild/protobuf.

export { binaryCodec } from "./binary_codec.ts";
export { counter, edge, fanout, gateway, message, reaction, type } from "./gen/index.ts";
