// Messages about what did not work, shown for a few seconds.

import { h } from "./dom.js";

const MAX_TOASTS = 3;
const SHOWN_MS = 4_200;
const FADE_MS = 400;

/** Shows a message. */
export function toast(text) {
  const toasts = document.getElementById("toasts");
  const element = h("p", { class: "toast" }, text);
  toasts.append(element);
  while (toasts.childElementCount > MAX_TOASTS) toasts.firstChild.remove();
  setTimeout(() => element.classList.add("leaving"), SHOWN_MS);
  setTimeout(() => element.remove(), SHOWN_MS + FADE_MS);
}

/** What the user reads where the server refuses a tap. */
export function refusalText(error) {
  switch (error.reason) {
    case "RATE_LIMITED":
      return "That was faster than ten taps a second. The last one was taken back.";
    case "TOO_MANY_EMOJI":
      return "Twenty different emoji are on this already. Join one of them.";
    case "INVALID_EMOJI":
      return "The server does not know this emoji.";
    case "NO_ANSWER":
      return "The server did not answer. The tap was taken back.";
    default:
      return `That did not work: ${error.message}`;
  }
}
