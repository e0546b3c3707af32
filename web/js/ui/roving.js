// A toolbar (WAI-ARIA): one tab stop, arrows within it, Home and End to its ends.

const BUTTONS = "button:not(:disabled, [inert])";
const STEP = { ArrowRight: 1, ArrowLeft: -1 };
const LINE = { ArrowDown: 1, ArrowUp: -1 };

/**
 * Makes `toolbar` one tab stop. Up and down go to the toolbar before or after it among those that `neighbours()` returns.
 *
 * Returns a function that must be called after buttons were added or removed.
 */
export function roving(toolbar, neighbours = () => []) {
  toolbar.setAttribute("role", "toolbar");
  let current = null;
  const present = () => [...toolbar.querySelectorAll(BUTTONS)];

  function refresh() {
    const buttons = present();
    if (!buttons.includes(current)) current = buttons[0] ?? null;
    for (const button of buttons) button.tabIndex = button === current ? 0 : -1;
  }

  toolbar.addEventListener("focusin", ({ target }) => {
    if (!target.matches(BUTTONS)) return;
    current = target;
    refresh();
  });
  toolbar.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    // What this device does not show cannot have the focus.
    const next = nextOf(event.key, present().filter((button) => button.getClientRects().length));
    if (!next) return;
    next.focus();
    event.preventDefault();
  });

  function nextOf(key, buttons) {
    if (key in STEP) return buttons.at((buttons.indexOf(document.activeElement) + STEP[key]) % buttons.length);
    if (key in LINE) {
      const all = neighbours();
      return all[all.indexOf(toolbar) + LINE[key]]?.querySelector("[tabindex='0']");
    }
    if (key === "Home") return buttons[0];
    return key === "End" ? buttons.at(-1) : undefined;
  }

  refresh();
  return refresh;
}
