// Animations: rolling numbers and floating emoji. None runs where the user prefers reduced motion.

import { h, prefersReducedMotion } from "./dom.js";

const plain = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const ROLL_MS = 260;
const SPRING = "cubic-bezier(.2, 1.3, .4, 1)";

/** `1204` as `1,204`, `128000` as `128K`. */
export const formatCount = (count) => (count < 10_000n ? plain : compact).format(count);

/** A number whose changed digits roll. Changes that follow each other fast, as in a storm, are shown without animation. */
export class AnimatedCount {
  #text = "";
  #value = 0n;
  #last = 0;

  constructor(className = "count") {
    this.element = h("span", { class: className, "aria-hidden": "true" });
  }

  set(value) {
    const text = value > 0n ? formatCount(value) : "";
    if (text === this.#text) return;
    const now = performance.now();
    const up = value > this.#value;
    const rolls = !prefersReducedMotion() && now - this.#last > ROLL_MS && this.#text && text && document.visibilityState === "visible";
    const old = this.#text.padStart(text.length);
    this.element.replaceChildren(
      ...Array.from(text, (digit, index) => {
        const before = old.slice(-text.length)[index];
        return rolls && before !== digit ? rollingDigit(before, digit, up) : digit;
      }),
    );
    this.#text = text;
    this.#value = value;
    this.#last = now;
  }
}

function rollingDigit(before, after, up) {
  const out = h("span", { class: "digit-old" }, before);
  const into = h("span", { class: "digit-new" }, after);
  const from = up ? 90 : -90;
  const timing = { duration: ROLL_MS, easing: "cubic-bezier(.3, .9, .3, 1)" };
  into.animate([{ transform: `translateY(${from}%)`, opacity: 0 }, { transform: "none", opacity: 1 }], timing);
  out.animate([{ transform: "none", opacity: 1 }, { transform: `translateY(${-from}%)`, opacity: 0 }], timing).onfinish =
    () => out.remove();
  return h("span", { class: "digit" }, out, into);
}

const MAX_FLOATING = 36;
let floating = 0;

/** Floats copies of an emoji up from an element. */
export function floatEmoji(from, emoji, times = 1) {
  if (prefersReducedMotion() || document.visibilityState !== "visible") return;
  const box = from.getBoundingClientRect();
  if (!box.width || box.bottom < 0 || box.top > innerHeight) return;
  const layer = document.getElementById("floating");
  for (let i = 0; i < times && floating < MAX_FLOATING; i += 1) {
    const drift = (Math.random() - 0.5) * 70;
    const copy = h("span", { class: "floating-emoji" }, emoji);
    copy.style.left = `${box.left + box.width / 2 + (Math.random() - 0.5) * box.width * 0.5}px`;
    copy.style.top = `${box.top}px`;
    layer.append(copy);
    floating += 1;
    const height = 70 + Math.random() * 90;
    const angle = (Math.random() - 0.5) * 50;
    copy.animate(
      [
        { transform: "translate(-50%, 0) scale(.5)", opacity: 0 },
        { transform: `translate(calc(-50% + ${drift * 0.3}px), ${-height * 0.35}px) scale(1.15)`, opacity: 1, offset: 0.25 },
        { transform: `translate(calc(-50% + ${drift}px), ${-height}px) rotate(${angle}deg) scale(.9)`, opacity: 0 },
      ],
      { duration: 900 + Math.random() * 500, easing: "cubic-bezier(.2, .7, .4, 1)", delay: i * 40, fill: "backwards" },
    ).onfinish = () => {
      floating -= 1;
      copy.remove();
    };
  }
}

/** Springs an element from the scale `from` to its size: it was tapped, or is new. */
export function pop(element, from = 0.8) {
  if (!prefersReducedMotion()) {
    element.animate([{ transform: `scale(${from})` }, { transform: "scale(1)" }], { duration: 320, easing: SPRING });
  }
}
