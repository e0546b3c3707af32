// What was written and not sent, by conversation, as long as the tab is open.

const KEY = "plaudit.drafts";

export class Drafts {
  #texts = new Map(Object.entries(saved()));

  get(id) {
    return this.#texts.get(id) ?? "";
  }

  set(id, text) {
    if (text === this.get(id)) return;
    if (text.trim()) this.#texts.set(id, text);
    else this.#texts.delete(id);
    sessionStorage.setItem(KEY, JSON.stringify(Object.fromEntries(this.#texts)));
  }
}

function saved() {
  try {
    return JSON.parse(sessionStorage.getItem(KEY) ?? "{}");
  } catch {
    return {};
  }
}
