// The scroll position of a thread: what is in view stays where it is while other rows change, and the end where it was in view.

const NEAR_END_PX = 48;
const NEAR_START_PX = 600;
// A heading of a day moves to the first message of the day that is loaded.
const MOVING = ".day, .unread-mark";

export class Scroller {
  #box;
  #content;
  #isAtEnd = true;
  #anchor = null; // `{row, end}`: a row in view, and its end below the top of the box
  #observer;
  #onScroll;

  /** `box` scrolls `content`, whose children are the rows. `onscroll()` is called after a move, at most once per frame. */
  constructor(box, content, onscroll) {
    this.#box = box;
    this.#content = content;
    let isScheduled = false;
    this.#onScroll = () => {
      this.#notePosition();
      if (isScheduled) return;
      isScheduled = true;
      requestAnimationFrame(() => {
        isScheduled = false;
        onscroll();
      });
    };
    box.addEventListener("scroll", this.#onScroll, { passive: true });
    // Reactions, a longer composer and the keyboard of a phone change heights. This is called before the frame is painted.
    this.#observer = new ResizeObserver(() => {
      this.#restore();
      this.#onScroll();
    });
    this.#observer.observe(box);
    this.#observer.observe(content);
  }

  get isAtEnd() { return this.#isAtEnd; }
  get isNearStart() { return this.#box.scrollTop < NEAR_START_PX; }

  /** Changes the rows by `change()` and keeps what is in view where it is. */
  keep(change) {
    if (!this.#isAtEnd) this.#anchor = this.#findAnchor();
    change();
    this.#restore();
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
    if (behavior === "instant") this.#notePosition();
  }

  /** The last row whose end is in view; null where none is. */
  lastInView() {
    const end = this.#box.getBoundingClientRect().bottom + NEAR_END_PX / 2;
    for (let row = this.#content.lastElementChild; row; row = row.previousElementSibling) {
      if (row.getBoundingClientRect().bottom <= end) return row;
    }
    return null;
  }

  #notePosition() {
    this.#isAtEnd = this.#distanceToEnd() < NEAR_END_PX;
    this.#anchor = this.#isAtEnd ? null : this.#findAnchor();
  }

  #restore() {
    if (this.#isAtEnd) this.toEnd();
    if (!this.#anchor?.row.isConnected) return;
    const moved = this.#endOf(this.#anchor.row) - this.#anchor.end;
    if (Math.abs(moved) >= 1) this.#box.scrollTop += moved;
  }

  // By its end: a first message of a group loses its heading when the one before it is loaded.
  #findAnchor() {
    const rows = this.#content.children;
    let [from, to] = [0, rows.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (this.#endOf(rows[middle]) > 0) to = middle;
      else from = middle + 1;
    }
    let row = rows[from];
    while (row?.matches(MOVING)) row = row.nextElementSibling;
    return row ? { row, end: this.#endOf(row) } : null;
  }

  #endOf(row) {
    return row.getBoundingClientRect().bottom - this.#box.getBoundingClientRect().top;
  }

  #distanceToEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight;
  }
}
