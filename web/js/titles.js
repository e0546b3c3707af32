// Short titles of targets: whose post, the text of a message.

const MAX_LENGTH = 28;
const titles = new Map();

/** Sets the title of a target. */
export const setTitle = (target, title) => titles.set(target, title);

/** Sets the title of a message: the beginning of its text. */
export function setMessageTitle(target, text) {
  setTitle(target, `“${text.length > MAX_LENGTH ? `${text.slice(0, MAX_LENGTH - 2).trim()}…` : text}”`);
}

/** The title of a target. */
export const titleOf = (target) => titles.get(target) ?? target;
