// What moves: numbers that roll, emoji that rise. All of it stands still where less motion is wished for.

import { h, still } from "./dom.js";

const plain = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const ROLL_MS = 260;
const SPRING = "cubic-bezier(.2, 1.3, .4, 1)";

/** `1204` as `1,204`, `128000` as `128K`. */
export const figure = (count) => (count < 10_000n ? plain : compact).format(count);

/** A number whose changed digits roll. In a storm, when changes outrun the eye, it just changes. */
export class Count {
  #text = "";
  #value = 0n;
  #last = 0;

  constructor(className = "count") {
    this.element = h("span", { class: className, "aria-hidden": "true" });
  }

  set(value) {
    const text = value > 0n ? figure(value) : "";
    if (text === this.#text) return;
    const now = performance.now();
    const up = value > this.#value;
    const rolls = !still() && now - this.#last > ROLL_MS && this.#text && text && document.visibilityState === "visible";
    const old = this.#text.padStart(text.length);
    this.element.replaceChildren(
      ...Array.from(text, (digit, place) => {
        const before = old.slice(-text.length)[place];
        return rolls && before !== digit ? rolling(before, digit, up) : digit;
      }),
    );
    this.#text = text;
    this.#value = value;
    this.#last = now;
  }
}

function rolling(before, after, up) {
  const out = h("span", { class: "digit-old" }, before);
  const into = h("span", { class: "digit-new" }, after);
  const from = up ? 90 : -90;
  const timing = { duration: ROLL_MS, easing: "cubic-bezier(.3, .9, .3, 1)" };
  into.animate([{ transform: `translateY(${from}%)`, opacity: 0 }, { transform: "none", opacity: 1 }], timing);
  out.animate([{ transform: "none", opacity: 1 }, { transform: `translateY(${-from}%)`, opacity: 0 }], timing).onfinish =
    () => out.remove();
  return h("span", { class: "digit" }, out, into);
}

const MOST_RISING = 36;
let rising = 0;

/** Lets an emoji rise from an element, as applause does. */
export function rise(from, emoji, times = 1) {
  if (still() || document.visibilityState !== "visible") return;
  const box = from.getBoundingClientRect();
  if (!box.width || box.bottom < 0 || box.top > innerHeight) return;
  const layer = document.getElementById("rising");
  for (let i = 0; i < times && rising < MOST_RISING; i += 1) {
    const drift = (Math.random() - 0.5) * 70;
    const spark = h("span", { class: "spark" }, emoji);
    spark.style.left = `${box.left + box.width / 2 + (Math.random() - 0.5) * box.width * 0.5}px`;
    spark.style.top = `${box.top}px`;
    layer.append(spark);
    rising += 1;
    const tall = 70 + Math.random() * 90;
    const turn = (Math.random() - 0.5) * 50;
    spark.animate(
      [
        { transform: "translate(-50%, 0) scale(.5)", opacity: 0 },
        { transform: `translate(calc(-50% + ${drift * 0.3}px), ${-tall * 0.35}px) scale(1.15)`, opacity: 1, offset: 0.25 },
        { transform: `translate(calc(-50% + ${drift}px), ${-tall}px) rotate(${turn}deg) scale(.9)`, opacity: 0 },
      ],
      { duration: 900 + Math.random() * 500, easing: "cubic-bezier(.2, .7, .4, 1)", delay: i * 40, fill: "backwards" },
    ).onfinish = () => {
      rising -= 1;
      spark.remove();
    };
  }
}

/** A short spring, for something that was just tapped or just appeared. */
export function pop(element, from = 0.8) {
  if (!still()) {
    element.animate([{ transform: `scale(${from})` }, { transform: "scale(1)" }], { duration: 320, easing: SPRING });
  }
}
