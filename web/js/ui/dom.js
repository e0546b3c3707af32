// Helpers that make and use elements. Text is never parsed as markup.

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

/** An element of an SVG. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** An icon of the sprite, for decoration only: a text or a label must say what it means. */
export const icon = (name) => svg("svg", { class: "icon", "aria-hidden": "true" }, svg("use", { href: `img/icons.svg#${name}` }));

/** The avatar of a user: initials on a colour that depends on the name. */
export function avatar(user, size = "") {
  const initials = user.split(/[-_.~ ]+/).filter(Boolean).slice(0, size === "small" ? 1 : 2).map((part) => part[0]).join("");
  const element = h("span", { class: `avatar ${size}`, "aria-hidden": "true" }, initials || user[0] || "?");
  let hash = 7;
  for (const letter of user) hash = (hash * 31 + letter.codePointAt(0)) % 3600;
  element.style.setProperty("--hue", String(hash % 360));
  return element;
}

/** Whether the user's system asks for less motion. */
export const prefersReducedMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A function that calls `run` in the next frame, once per frame at most. */
export function oncePerFrame(run) {
  let isScheduled = false;
  return () => {
    if (isScheduled) return;
    isScheduled = true;
    requestAnimationFrame(() => {
      isScheduled = false;
      run();
    });
  };
}

/** Announces a text to screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}
