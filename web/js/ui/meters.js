// How long things take: ping, tap to ack, tap to screen; each with its last readings as a line.

import { h } from "./dom.js";

const KEPT = 32;
const SVG = "http://www.w3.org/2000/svg";
const WIDE = 120;
const TALL = 26;

/** `3.2 ms`, `48 ms`, `1.2 s`. */
export const duration = (ms) => (ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`);

function meter(label, explained) {
  const value = h("dd", { class: "meter-value" }, "–");
  const line = document.createElementNS(SVG, "polyline");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("class", "meter-line");
  svg.setAttribute("aria-hidden", "true");
  svg.append(line);
  const readings = [];
  const element = h("div", { class: "meter", title: explained }, h("dt", {}, label), value, svg);
  return {
    element,
    read(ms) {
      readings.push(ms);
      readings.splice(0, readings.length - KEPT);
      value.textContent = duration(ms);
      const most = Math.max(...readings, 1);
      const step = WIDE / (KEPT - 1);
      const from = KEPT - readings.length;
      const points = readings.map((one, i) => `${((from + i) * step).toFixed(1)},${(TALL - 2 - (one / most) * (TALL - 5)).toFixed(1)}`);
      line.setAttribute("points", points.join(" "));
    },
  };
}

/** The panel of the meters, fed by the connection and the reactions. */
export function metersPanel(connection, reactions) {
  const ping = meter("Ping", "To the server and back.");
  const ack = meter("Tap to saved", "From the tap until the server has it on disk and has said so.");
  const screen = meter("Tap to screens", "From the tap until the update that goes to everybody is painted here.");
  connection.addEventListener("pong", ({ detail }) => ping.read(detail.ms));
  reactions.addEventListener("measured", ({ detail }) => (detail.ack === undefined ? screen.read(detail.screen) : ack.read(detail.ack)));
  return h("section", { class: "panel", "aria-labelledby": "meters-title" },
    h("h2", { id: "meters-title" }, "Round trips"),
    h("dl", { class: "meters" }, ping.element, ack.element, screen.element));
}
