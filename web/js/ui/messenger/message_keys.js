// The keyboard among the messages of a thread: one tab stop, arrow keys between messages and to the buttons of one.

export class MessageKeys {
  #list;
  #viewOf;
  #onLeave;
  #current = ""; // the key of the message that is the tab stop

  /** `list` has the rows, `viewOf(key)` is the `MessageView` of one; `onleave()`: Down was pressed on the last message. */
  constructor(list, viewOf, onleave) {
    this.#list = list;
    this.#viewOf = viewOf;
    this.#onLeave = onleave;
    list.addEventListener("keydown", (event) => this.#onKey(event));
    list.addEventListener("focusin", ({ target }) => this.#select(target.closest(".message")?.dataset.key));
  }

  /** The messages have changed: one of them is the tab stop, the last one where the present one is gone. */
  refresh() {
    const keys = this.#keys();
    if (!keys.includes(this.#current)) this.#current = keys.at(-1) ?? "";
    for (const key of keys) this.#viewOf(key).bubble.tabIndex = key === this.#current ? 0 : -1;
  }

  /** Focuses a message, by default the one that is the tab stop. */
  focus(key = this.#current) {
    this.#select(key);
    this.#viewOf(key)?.bubble.focus();
  }

  #keys() {
    return [...this.#list.querySelectorAll(".message")].map(({ dataset }) => dataset.key);
  }

  #select(key) {
    if (!key || key === this.#current) return;
    this.#current = key;
    this.refresh();
  }

  #onKey(event) {
    const view = this.#viewOf(event.target.closest(".message")?.dataset.key);
    if (!view || event.ctrlKey || event.metaKey || event.altKey) return;
    const isDone = event.target === view.bubble ? this.#onBubbleKey(view, event.key) : this.#onButtonKey(view, event.key);
    if (isDone) event.preventDefault();
  }

  #onBubbleKey(view, key) {
    const keys = this.#keys();
    const at = keys.indexOf(view.message.key);
    const next = { ArrowUp: keys[at - 1], ArrowDown: keys[at + 1], Home: keys[0], End: keys.at(-1) }[key];
    if (next) this.focus(next);
    else if (key === "ArrowDown") this.#onLeave();
    else if (key === "ArrowRight") focusFirst(buttonsOf(view));
    else if (key === "Enter" || key === "ContextMenu") view.openMenu(view.bubble);
    else return view.onKey(key);
    return true;
  }

  #onButtonKey(view, key) {
    const buttons = buttonsOf(view);
    const at = buttons.indexOf(document.activeElement);
    const next = { ArrowRight: buttons[at + 1], ArrowLeft: buttons[at - 1] ?? view.bubble, Home: buttons[0], End: buttons.at(-1), Escape: view.bubble }[key];
    if (next) next.focus();
    else return false;
    return true;
  }
}

// The quick bar may become visible in the next frame only, and what is hidden cannot be focused.
function focusFirst([button]) {
  button?.focus();
  if (button && document.activeElement !== button) requestAnimationFrame(() => button.focus());
}

const buttonsOf = ({ element }) => [...element.querySelectorAll("button")].filter((button) => button.getClientRects().length && !button.inert);
