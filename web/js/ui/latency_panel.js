// The latencies: ping, tap to saved, tap to screens; each with a line of its last values.

import { h, svg } from "./dom.js";

const MAX_VALUES = 32;
const WIDTH = 120;
const HEIGHT = 26;

/** `3.2 ms`, `48 ms`, `1.2 s`. */
export const formatDuration = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`);

function meter(label, description) {
  const latest = h("dd", { class: "meter-value" }, "–");
  const line = svg("polyline");
  const chart = svg("svg", { class: "meter-line", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, line);
  const values = [];
  return {
    element: h("div", { class: "meter", title: description }, h("dt", {}, label), latest, chart),
    add(ms) {
      values.push(ms);
      values.splice(0, values.length - MAX_VALUES);
      latest.textContent = formatDuration(ms);
      const largest = Math.max(...values, 1);
      const step = WIDTH / (MAX_VALUES - 1);
      const first = MAX_VALUES - values.length;
      const points = values.map((value, index) => [(first + index) * step, HEIGHT - 2 - (value / largest) * (HEIGHT - 5)]);
      line.setAttribute("points", points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
    },
  };
}

/** The panel of the latencies, from the events of the connection and of the reactions. */
export function latencyPanel(connection, reactions) {
  const ping = meter("Ping", "To the server and back.");
  const saved = meter("Tap to saved", "From the tap until the server has it on disk and has answered.");
  const shown = meter("Tap to screens", "From the tap until the update for all users is painted here.");
  connection.addEventListener("pong", ({ detail }) => ping.add(detail.ms));
  reactions.addEventListener("latency", ({ detail }) => (detail.saved === undefined ? shown.add(detail.shown) : saved.add(detail.saved)));
  return h("section", { class: "panel", "aria-labelledby": "latency-title" },
    h("h2", { id: "latency-title" }, "Round trips"),
    h("dl", { class: "meters" }, ping.element, saved.element, shown.element));
}
