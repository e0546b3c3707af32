// The state of an own message: a clock, one tick, two ticks, two coloured ticks.

import { svg } from "../dom.js";

const PATHS = {
  pending: ["M8 3.200a4.800 4.800 0 1 0 0 9.600a4.800 4.800 0 0 0 0-9.600zM8 5.400V8l1.700 1.300"],
  failed: ["M8 3.200a4.800 4.800 0 1 0 0 9.600a4.800 4.800 0 0 0 0-9.600zM8 5.600v2.800M8 10.400v.01"],
  sent: ["M4.500 8.600l2.700 2.700 5.800-6.300"],
  delivered: ["M1.500 8.600l2.700 2.700 5.800-6.300", "M8.300 11.100l.4.2 5.800-6.300"],
  read: ["M1.500 8.600l2.700 2.700 5.800-6.300", "M8.300 11.100l.4.2 5.800-6.300"],
};

/** What screen readers and tooltips say of a status. */
export const STATUS_TEXT = { pending: "Waiting", failed: "Not sent", sent: "Sent", delivered: "Delivered", read: "Read" };

/** The ticks of a message; `text` says more, such as `Read by 2 of 3`. */
export function ticks(status, text = STATUS_TEXT[status]) {
  const drawing = svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, ...PATHS[status].map((d) => svg("path", { d })));
  const element = document.createElement("span");
  element.className = `ticks ${status}`;
  element.title = text;
  element.append(drawing);
  return element;
}
