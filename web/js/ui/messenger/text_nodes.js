// The text of a message as nodes: addresses become links, mentions are marked. Nothing is parsed as markup.

import { h } from "../dom.js";

const LINK = /\bhttps?:\/\/[^\s<>"]+/giu;
const TRAILING = /[.,;:!?'’”)\]}…]+$/u;

/** The nodes of a text. */
export function textNodes(text, mentions = []) {
  const nodes = [];
  let from = 0;
  for (const { index, 0: found } of text.matchAll(LINK)) {
    const address = withoutTrailing(found);
    if (!URL.canParse(address)) continue;
    nodes.push(...mentionNodes(text.slice(from, index), mentions));
    nodes.push(h("a", { href: address, target: "_blank", rel: "noopener noreferrer" }, address));
    from = index + address.length;
  }
  nodes.push(...mentionNodes(text.slice(from), mentions));
  return nodes;
}

// Punctuation after an address is not part of it; a closing bracket is where the address has the opening one.
function withoutTrailing(address) {
  const end = address.match(TRAILING)?.[0] ?? "";
  const balanced = end.startsWith(")") && address.includes("(") ? 1 : 0;
  return address.slice(0, address.length - end.length + balanced);
}

function mentionNodes(text, mentions) {
  if (!mentions.length || !text) return text ? [text] : [];
  const names = new Set(mentions.map((user) => `@${user}`));
  return text.split(/(@[A-Za-z0-9_.~-]+)/).filter(Boolean)
    .map((part) => (names.has(part) ? h("strong", { class: "mention" }, part) : part));
}
