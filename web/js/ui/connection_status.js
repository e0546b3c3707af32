// The state of the connection, in three places: the pill in the header, the banner where it is lost, and an announcement.

import { announce, h } from "./dom.js";
import { formatDuration } from "./latency_panel.js";

const COUNTDOWN_MS = 500;
const SHORT_WAIT_MS = 2_000;

/** Shows the state in the pill and the banner. `rejoin(replaced)` starts a new session after the end of this one. */
export function showConnectionStatus(connection, { rejoin }) {
  const pill = document.getElementById("connection");
  const banner = document.getElementById("banner");
  const figure = pill.querySelector(".pill-figure");
  let countdown = 0;
  let wasLive = false;
  let wasCalm = false;
  let lossAnnounced = false;

  connection.addEventListener("pong", ({ detail }) => (figure.textContent = formatDuration(detail.ms)));
  connection.addEventListener("lag", ({ detail }) => announce(`${detail.merged} updates were merged: this page reads slowly.`));
  connection.addEventListener("state", ({ detail }) => {
    clearInterval(countdown);
    wasCalm = isCalm(detail) || (detail.state === "connecting" && wasCalm);
    const { word, text, action } = describe(detail, wasCalm);
    document.documentElement.dataset.connection = detail.state;
    pill.querySelector(".pill-word").textContent = word;
    if (detail.state !== "live") figure.textContent = "";
    banner.hidden = text === "" || (!wasLive && detail.state === "connecting");
    banner.classList.toggle("calm", wasCalm);
    if (!banner.hidden) {
      const line = h("span", {}, text);
      banner.replaceChildren(line, ...(action ? [h("button", { type: "button", class: "banner-action", onclick: action.run }, action.label)] : []));
      if (detail.retryAt) countdown = setInterval(() => (line.textContent = describe(detail, wasCalm).text), COUNTDOWN_MS);
    }
    if (detail.state === "live") {
      announce(wasLive ? "Connected again." : "Connected.");
      wasLive = true;
      lossAnnounced = false;
    } else if (detail.state === "waiting" && wasLive && !wasCalm && !lossAnnounced) {
      announce("The connection is lost. Messages and taps are kept.");
      lossAnnounced = true;
    }
  });

  function describe({ state, retryAt = 0, replaced, reason }, calm) {
    const seconds = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
    switch (state) {
      case "live":
        return { word: "Live", text: "" };
      case "connecting":
        return { word: "Connecting", text: "Connecting. Messages and taps are kept." };
      case "moving":
        return { word: "Moving", text: "Changing seats. Messages and taps are kept." };
      case "waiting":
        if (calm) return { word: "Connecting", text: "Reconnecting. Messages and taps are kept." };
        return {
          word: "Offline",
          text: `The server is away. Messages and taps are kept; trying again ${seconds > 0 ? `in ${seconds} s` : "now"}.`,
          action: { label: "Try now", run: () => connection.wake() },
        };
      default:
        if (replaced) {
          return { word: "Paused", text: "This session went on elsewhere.", action: { label: "Continue here", run: () => rejoin(true) } };
        }
        return { word: "Ended", text: reason || "The session has ended.", action: { label: "Sign in again", run: () => rejoin(false) } };
    }
  }
}

// Usually over before a user reads it, and nothing is lost: shown without emphasis. A long wait is not.
function isCalm({ state, attempt, retryAt }) {
  return state === "moving" || (state === "waiting" && attempt === 0 && retryAt - performance.now() < SHORT_WAIT_MS);
}
