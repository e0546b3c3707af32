// The scroll position of a thread: it stays where it is while messages are added above, and at the end where it was there.

const NEAR_END_PX = 48;
const NEAR_START_PX = 600;

export class Scroller {
  #box;
  #content;
  #isAtEnd = true;
  #observer;
  #onScroll;

  /** `box` scrolls `content`, whose children are the rows. `onscroll()` is called after a move, at most once per frame. */
  constructor(box, content, onscroll) {
    this.#box = box;
    this.#content = content;
    let isScheduled = false;
    this.#onScroll = () => {
      this.#isAtEnd = this.#distanceToEnd() < NEAR_END_PX;
      if (isScheduled) return;
      isScheduled = true;
      requestAnimationFrame(() => {
        isScheduled = false;
        onscroll();
      });
    };
    box.addEventListener("scroll", this.#onScroll, { passive: true });
    // Reactions, a longer composer and the keyboard of a phone change heights: the end stays in view.
    this.#observer = new ResizeObserver(() => {
      if (this.#isAtEnd) this.toEnd();
      this.#onScroll();
    });
    this.#observer.observe(box);
    this.#observer.observe(content);
  }

  get isAtEnd() { return this.#isAtEnd; }
  get isNearStart() { return this.#box.scrollTop < NEAR_START_PX; }

  /** Changes the rows by `change()` and keeps what is in view where it is. */
  keep(change) {
    const anchor = this.#isAtEnd ? null : this.#firstInView();
    const before = anchor?.getBoundingClientRect().top;
    change();
    if (!anchor) this.toEnd();
    else if (anchor.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().top - before;
  }

  toEnd(behavior = "instant") {
    if (behavior === "instant") this.#isAtEnd = true;
    this.#box.scrollTo({ top: this.#box.scrollHeight, behavior });
  }

  /** Scrolls a row to the upper part of the view. */
  show(row, behavior = "instant") {
    const distance = row.getBoundingClientRect().top - this.#box.getBoundingClientRect().top;
    this.#isAtEnd = false;
    this.#box.scrollTo({ top: this.#box.scrollTop + distance - this.#box.clientHeight * 0.25, behavior });
    if (behavior === "instant") this.#isAtEnd = this.#distanceToEnd() < NEAR_END_PX;
  }

  /** The last row whose end is in view; null where none is. */
  lastInView() {
    const end = this.#box.getBoundingClientRect().bottom + NEAR_END_PX / 2;
    for (let row = this.#content.lastElementChild; row; row = row.previousElementSibling) {
      if (row.getBoundingClientRect().bottom <= end) return row;
    }
    return null;
  }

  #firstInView() {
    const { top } = this.#box.getBoundingClientRect();
    return [...this.#content.children].find((row) => row.getBoundingClientRect().bottom > top) ?? null;
  }

  #distanceToEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
  }
}
