// The keyboard in a toolbar (WAI-ARIA): one tab stop, arrow keys within it, Home and End to its ends.

const BUTTONS = "button:not(:disabled, [inert])";
const STEP = { ArrowRight: 1, ArrowLeft: -1 };

/** Makes `toolbar` one tab stop. */
export function rovingTabindex(toolbar) {
  toolbar.setAttribute("role", "toolbar");
  const buttons = () => [...toolbar.querySelectorAll(BUTTONS)];

  function setTabStop(current) {
    for (const button of buttons()) button.tabIndex = button === current ? 0 : -1;
  }

  toolbar.addEventListener("focusin", ({ target }) => target.matches(BUTTONS) && setTabStop(target));
  toolbar.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const next = nextOf(event.key, buttons());
    if (!next) return;
    next.focus();
    event.preventDefault();
  });
  setTabStop(buttons()[0]);
}

function nextOf(key, buttons) {
  if (key in STEP) return buttons.at((buttons.indexOf(document.activeElement) + STEP[key]) % buttons.length);
  if (key === "Home") return buttons[0];
  return key === "End" ? buttons.at(-1) : undefined;
}
