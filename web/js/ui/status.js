// Whether we are connected, said in three places: the pill in the header, the banner when we are not, and aloud.

import { h, say } from "./dom.js";
import { duration } from "./meters.js";

/** Binds the header's pill and the banner to the connection. */
export function bindStatus(connection, { rejoin }) {
  const pill = document.getElementById("connection");
  const banner = document.getElementById("banner");
  let ticking = 0;
  let seenLive = false;

  connection.addEventListener("pong", ({ detail }) => {
    pill.querySelector(".pill-figure").textContent = duration(detail.ms);
  });
  connection.addEventListener("lag", ({ detail }) => say(`${detail.merged} updates were merged: this page reads slowly.`));
  connection.addEventListener("state", ({ detail }) => {
    clearInterval(ticking);
    document.documentElement.dataset.connection = detail.state;
    const [word, text, action] = words(detail);
    pill.querySelector(".pill-word").textContent = word;
    if (detail.state !== "live") pill.querySelector(".pill-figure").textContent = "";
    const bad = text !== "" && (seenLive || detail.state !== "connecting");
    banner.hidden = !bad;
    banner.classList.toggle("calm", isCalm(detail) || (detail.state === "connecting" && banner.classList.contains("calm")));
    if (bad) {
      const line = h("span", {}, text);
      const buttons = action ? [h("button", { type: "button", class: "banner-action", onclick: action[1] }, action[0])] : [];
      banner.replaceChildren(line, ...buttons);
      if (detail.retryAt) ticking = setInterval(() => (line.textContent = words(detail)[1]), 500);
    }
    if (detail.state === "live") say(seenLive ? "Connected again." : "Connected.");
    else if (detail.state === "waiting" && seenLive && detail.attempt === 1) say("The connection is lost. Taps are kept.");
    seenLive ||= detail.state === "live";
  });

  function words(detail) {
    const seconds = Math.max(0, Math.ceil(((detail.retryAt ?? 0) - performance.now()) / 1000));
    const soon = seconds > 0 ? `in ${seconds} s` : "now";
    switch (detail.state) {
      case "live":
        return ["Live", "", null];
      case "connecting":
        return ["Connecting", "Connecting. Your taps are kept.", null];
      case "moving":
        return ["Moving", "Changing seats. Your taps are kept.", null];
      case "waiting":
        if (isCalm(detail)) return ["Connecting", "Reconnecting. Your taps are kept.", null];
        return ["Offline", `The server is away. Your taps are kept; trying again ${soon}.`, ["Try now", () => connection.wake()]];
      default:
        if (detail.replaced) return ["Paused", "This session went on elsewhere.", ["Continue here", () => rejoin(true)]];
        return ["Ended", detail.reason || "The session has ended.", ["Sign in again", () => rejoin(false)]];
    }
  }
}

// What most often is over before it is read, and nothing is lost by: no reason to raise one's voice.
const isCalm = ({ state, attempt }) => state === "moving" || (state === "waiting" && attempt === 0);

/** Says that something did not work, for a while. */
export function toast(text) {
  const shelf = document.getElementById("toasts");
  const one = h("p", { class: "toast" }, text);
  shelf.append(one);
  while (shelf.childElementCount > 3) shelf.firstChild.remove();
  setTimeout(() => one.classList.add("leaving"), 4200);
  setTimeout(() => one.remove(), 4600);
}

/** What a refused tap is called in front of people. */
export function refusal(error) {
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
