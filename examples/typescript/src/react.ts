// A service reacts for a user over gRPC, and reads the counts.
import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";

import { ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { CounterService } from "../gen/plaudit/counter/v1/counter_service_pb.js";
import { ReactionService } from "../gen/plaudit/reaction/v1/reaction_service_pb.js";

const { values } = parseArgs({
  options: {
    url: { type: "string", default: "http://127.0.0.1:50051" },
    user: { type: "string", default: "alice" },
    target: { type: "string", default: "messages/42" },
    emoji: { type: "string", default: "👍" },
  },
});
const { url, user, target, emoji } = values;

const authorize: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${process.env.TOKEN}`);
  request.header.set("plaudit-user", user);
  return next(request);
};
const transport = createGrpcTransport({ baseUrl: url, interceptors: [authorize], defaultTimeoutMs: 10_000 });

// What programs decide by; empty where the failure is not one of Plaudit's.
function reasonOf(error: unknown): string {
  return ConnectError.from(error).findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

async function react() {
  // The id makes the call safe to repeat: sent twice, it is made once.
  const reactions = createClient(ReactionService, transport);
  const toggled = await reactions.toggleReaction({ target, emoji, opId: randomUUID() });
  console.log(`${emoji} is on: ${toggled.on}`);

  // The version makes the read see the change; int64 is a bigint.
  const counts = createClient(CounterService, transport);
  const counted = await counts.getReactionCounts({ target, minVersion: toggled.version });
  for (const one of counted.reactions) console.log(`${one.emoji} ${one.count}`);
}

try {
  await react();
} catch (error) {
  console.error(`${reasonOf(error)}: ${error}`);
  process.exitCode = 1;
}
