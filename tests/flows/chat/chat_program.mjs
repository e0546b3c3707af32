// People who chat with the TypeScript client, as a test tells them: each line of input is a command, each line of output its result.

import { createInterface } from "node:readline";

const [bundle] = process.argv.slice(2);
const { Messenger, connect } = await import(bundle);
const people = new Map();

async function until(what, check) {
  for (let look = 0; look < 1_000; look += 1) {
    if (check()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`it never came: ${what}`);
}

function texts(messenger, id) {
  return messenger.timeline(id).items.filter(({ kind }) => kind === "message").map(({ content }) => content);
}

const commands = {
  async join({ name, url, token }) {
    const client = connect(url, token, { device: name });
    const person = { client, messenger: new Messenger(client), announced: [], verdicts: [], refused: [] };
    person.messenger.on("message", ({ message }) => person.announced.push(message.content));
    person.messenger.on("refused", ({ error }) => person.refused.push(error.reason));
    client.on("welcome", ({ frame }) => person.verdicts.push(frame.verdict ?? "new"));
    people.set(name, person);
    await client.ready;
    await until("the list", () => client.user !== "");
    await person.messenger.loadConversations();
  },
  openDirect: ({ name, user }) => people.get(name).messenger.openDirect(user),
  async open({ name, id }) {
    const { messenger } = people.get(name);
    messenger.open(id);
    await until("the timeline", () => !messenger.timeline(id).isLoading && messenger.members(id).length > 0);
  },
  send: ({ name, id, texts: all }) => void all.map((text) => people.get(name).messenger.send(id, text)),
  async edit({ name, id, text, content }) {
    const { messenger } = people.get(name);
    await messenger.edit(id, messenger.timeline(id).items.find((item) => item.content === text), content);
  },
  async read({ name, id }) {
    const { messenger } = people.get(name);
    messenger.markRead(id);
    await until("unread is 0", () => messenger.unread === 0);
  },
  async texts({ name, id, count }) {
    const { messenger } = people.get(name);
    await until(`${count} messages, not ${texts(messenger, id)}`, () => texts(messenger, id).length >= count);
    return texts(messenger, id);
  },
  async shows({ name, id, text }) {
    const { messenger } = people.get(name);
    await until(text, () => texts(messenger, id).includes(text));
    return texts(messenger, id);
  },
  async statuses({ name, id, status }) {
    const { messenger } = people.get(name);
    const own = () => messenger.timeline(id).items.filter((item) => item.own);
    const order = ["failed", "pending", "sent", "delivered", "read"];
    const isReached = (item) => order.indexOf(item.status) >= order.indexOf(status);
    await until(`all ${status}, not ${own().map((item) => item.status)}`, () => own().every(isReached));
    return own().length;
  },
  async state({ name, state }) {
    await until(state, () => people.get(name).client.state === state);
  },
  unread: ({ name }) => people.get(name).messenger.unread,
  wake: ({ name }) => people.get(name).client.wake(),
  announced: ({ name }) => people.get(name).announced,
  verdicts: ({ name }) => people.get(name).verdicts,
  refused: ({ name }) => people.get(name).refused,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { command, ...fields } = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await commands[command](fields)) ?? null };
  } catch (error) {
    answer = { error: String(error.stack ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
for (const { client } of people.values()) client.close();
