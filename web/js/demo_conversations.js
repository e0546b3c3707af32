// Makes the conversations of a user of the demo: a crew of five that has written, and the foyer, where all users of the demo are.
//
// Only where the server gives demo tokens: each line is sent with a token of its author. All of it can be repeated: ids of the
// changes are fixed, so a second attempt, also one of another window at the same time, changes nothing.

import { CAST, CREW, FOYER } from "./demo_content.js";
import { requestDemoToken } from "./net/tokens.js";

const api = (path) => new URL(`../api/v1/${path}`, import.meta.url);

/** Makes those that `user` does not have yet, the one with messages first; `names` are those of the user's conversations. */
export async function makeDemoConversations(user, names) {
  for (const [name, make] of [[CREW.name, makeCrew], [FOYER.name, enterFoyer]]) {
    if (names.has(name)) continue;
    await make(user).catch(() => {}); // the user has a conversation less, and can begin others
  }
}

async function makeCrew(user) {
  const post = await caller(user);
  const { conversation_id: id, conversation } = await post("groups", { name: CREW.name, member_ids: CAST, op_id: `demo-crew-${user}`.slice(0, 64) });
  if (conversation.last_message_seq > 1) return;
  const callers = new Map();
  for (const [index, { author, text }] of CREW.lines.entries()) {
    if (!callers.has(author)) callers.set(author, await caller(author));
    await callers.get(author)(`conversations/${id}/messages`, { content: text, client_msg_id: `demo-${index}` });
  }
}

async function enterFoyer(user) {
  const post = await caller(FOYER.creator);
  const { conversation_id: id } = await post("groups", { name: FOYER.name, member_ids: [], op_id: "demo-foyer" });
  await post(`conversations/${id}/members`, { user_ids: [user], op_id: `demo-${user}`.slice(0, 64) });
}

// A function that sends requests of a user.
async function caller(user) {
  const { token } = await requestDemoToken(user);
  return async (path, body) => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const response = await fetch(api(path), { method: "POST", headers, body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status}`);
    return response.json();
  };
}
