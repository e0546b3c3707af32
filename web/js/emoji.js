// Emoji: how they are shown, what they are called, and which the picker offers.

import { canonical } from "./state/reactions.js";

/** The six that everybody knows, by the names the server knows them by too. */
export const QUICK = [
  { emoji: "👍", name: "like" },
  { emoji: "❤", name: "love" },
  { emoji: "😆", name: "haha" },
  { emoji: "😮", name: "wow" },
  { emoji: "😢", name: "sad" },
  { emoji: "😡", name: "angry" },
];

const names = new Map(QUICK.map(({ emoji, name }) => [emoji, name]));
let table = null;

/** Canonical emoji carry no variation selectors; without them some would be drawn as plain text. */
export function shown(emoji) {
  return canonical(emoji)
    .replace(/(?!\p{Emoji_Presentation})\p{Extended_Pictographic}(?!\p{Emoji_Modifier})/gu, "$&\uFE0F")
    .replace(/^[0-9#*](?=\u20E3)/, "$&\uFE0F");
}

/** A word for an emoji, once the table is here; until then the emoji itself. */
export const nameOf = (emoji) => names.get(canonical(emoji)) ?? emoji;

/** `[{title, emoji: [{emoji, name, words}]}]`, loaded on first use. */
export function emojiTable() {
  table ??= fetch(new URL("../emoji.json", import.meta.url))
    .then((answer) => answer.json())
    .then((groups) => groups.map(({ title, emoji }) => ({ title, emoji: emoji.map(entry) })))
    .catch((error) => {
      table = null; // asked for again when it is next wanted
      throw error;
    });
  return table;
}

/** Those whose name or keywords contain all words of the query: everyday names first, then names that start with it. */
export function search(groups, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = groups.flatMap(({ emoji }) => emoji).filter(({ words: text }) => words.every((w) => text.includes(w)));
  const rank = ({ quick, name, words: text }) => {
    if (quick && quick.startsWith(words[0])) return 0;
    return name.startsWith(words[0]) ? 1 : text.includes(` ${words[0]}`) ? 2 : 3;
  };
  return found.sort((a, b) => rank(a) - rank(b));
}

function entry(line) {
  const [, emoji, name, keywords] = line.match(/^(\S+) ([^|]*)\|(.*)$/u);
  const quick = names.get(canonical(emoji)) ?? "";
  if (!quick) names.set(canonical(emoji), name);
  return { emoji: canonical(emoji), quick, name, words: ` ${quick} ${name} ${keywords}` };
}

const RECENT = "plaudit.recent";
const MOST_RECENT = 16;

/** What was picked in this browser before, latest first. */
export function recent() {
  try {
    return JSON.parse(localStorage.getItem(RECENT) ?? "[]").slice(0, MOST_RECENT);
  } catch {
    return [];
  }
}

export function remember(emoji) {
  const kept = [canonical(emoji), ...recent().filter((one) => one !== canonical(emoji))];
  localStorage.setItem(RECENT, JSON.stringify(kept.slice(0, MOST_RECENT)));
}
