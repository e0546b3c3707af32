// Emoji: their display form, their names, and the table of the picker.

import { canonical } from "./state/reactions.js";

/** The six reactions of a post, with names that the server accepts too. */
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

/** An emoji with the variation selectors that canonical emoji lack: without them a browser draws some as plain text. */
export function displayForm(emoji) {
  return canonical(emoji)
    .replace(/(?!\p{Emoji_Presentation})\p{Extended_Pictographic}(?!\p{Emoji_Modifier})/gu, "$&\uFE0F")
    .replace(/^[0-9#*](?=\u20E3)/, "$&\uFE0F");
}

/** The name of an emoji; the emoji itself until the table is loaded. */
export const emojiName = (emoji) => names.get(canonical(emoji)) ?? emoji;

/** `[{title, emoji: [{emoji, name, words}]}]`, loaded on first use. */
export function loadEmoji() {
  table ??= fetch(new URL("../emoji.json", import.meta.url))
    .then((response) => response.json())
    .then((groups) => groups.map(({ title, emoji }) => ({ title, emoji: emoji.map(parseLine) })))
    .catch((error) => {
      table = null; // the next call tries again
      throw error;
    });
  return table;
}

/** The emoji whose name or keywords contain all words of the query: quick names first, then names that start with it. */
export function search(groups, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = groups.flatMap(({ emoji }) => emoji).filter(({ words: text }) => words.every((w) => text.includes(w)));
  const rank = ({ quick, name, words: text }) => {
    if (quick && quick.startsWith(words[0])) return 0;
    return name.startsWith(words[0]) ? 1 : text.includes(` ${words[0]}`) ? 2 : 3;
  };
  return found.sort((a, b) => rank(a) - rank(b));
}

// `👍 thumbs up|keywords`
function parseLine(line) {
  const [, emoji, name, keywords] = line.match(/^(\S+) ([^|]*)\|(.*)$/u);
  const quick = names.get(canonical(emoji)) ?? "";
  if (!quick) names.set(canonical(emoji), name);
  return { emoji: canonical(emoji), quick, name, words: ` ${quick} ${name} ${keywords}` };
}

const RECENT_KEY = "plaudit.recent";
const MAX_RECENT = 16;

/** The emoji last picked in this browser, latest first. */
export function recentEmoji() {
  try {
    return JSON.parse(localStorage.getItem(RECENT_KEY) ?? "[]").slice(0, MAX_RECENT);
  } catch {
    return [];
  }
}

export function saveRecent(emoji) {
  const saved = [canonical(emoji), ...recentEmoji().filter((one) => one !== canonical(emoji))];
  localStorage.setItem(RECENT_KEY, JSON.stringify(saved.slice(0, MAX_RECENT)));
}
