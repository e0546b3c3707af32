// Making elements. Text only ever becomes text: nothing here parses markup.

/** `h("button", {class: "x", onclick: f, "aria-pressed": "true"}, "text", child)`; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** A drawing from the sprite; decoration only, the text beside it or the label says what it means. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `img/icons.svg#${name}`);
  svg.append(use);
  return svg;
}

/** A person's round mark: initials on a colour of their own. */
export function avatar(user, size = "") {
  const initials = user.split(/[-_.~ ]+/).filter(Boolean).slice(0, size === "small" ? 1 : 2).map((part) => part[0]).join("");
  const mark = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials || user[0] || "?");
  let hash = 7;
  for (const letter of user) hash = (hash * 31 + letter.codePointAt(0)) % 3600;
  mark.style.setProperty("--hue", String(hash % 360));
  return mark;
}

/** Whether the person wants things to keep still. */
export const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Calls `run` at most once per frame, however often it is asked for. */
export function perFrame(run) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      run();
    });
  };
}

/** Tells screen readers, politely. */
export function say(text) {
  document.getElementById("spoken").textContent = text;
}
