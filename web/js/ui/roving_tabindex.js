// The keyboard in a toolbar (WAI-ARIA): one tab stop, arrow keys within it, Home and End to its ends.

const BUTTONS = "button:not(:disabled, [inert])";
const COLUMN_STEP = { ArrowRight: 1, ArrowLeft: -1 };
const TOOLBAR_STEP = { ArrowDown: 1, ArrowUp: -1 };

/**
 * Makes `toolbar` one tab stop. Up and Down move to the toolbar before or after it in what `neighbours()` returns.
 *
 * `hiddenPart`: a part that is visible only with the focus or the pointer. It has no tab stop while the focus is outside.
 *
 * Returns a function to call after buttons were added or removed.
 */
export function rovingTabindex(toolbar, { neighbours = () => [], hiddenPart = null } = {}) {
  toolbar.setAttribute("role", "toolbar");
  let current = null;
  const allButtons = () => [...toolbar.querySelectorAll(BUTTONS)];

  function refresh() {
    const buttons = allButtons();
    if (!buttons.includes(current)) current = buttons[0] ?? null;
    for (const button of buttons) button.tabIndex = button === current ? 0 : -1;
  }

  toolbar.addEventListener("focusin", ({ target }) => {
    if (!target.matches(BUTTONS)) return;
    current = target;
    refresh();
  });
  toolbar.addEventListener("focusout", ({ relatedTarget }) => {
    if (toolbar.contains(relatedTarget) || !hiddenPart?.contains(current)) return;
    current = null;
    refresh();
  });
  toolbar.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    // A hidden button cannot be focused.
    const next = nextOf(event.key, allButtons().filter((button) => button.getClientRects().length));
    if (!next) return;
    next.focus();
    event.preventDefault();
  });

  function nextOf(key, buttons) {
    if (key in COLUMN_STEP) return buttons.at((buttons.indexOf(document.activeElement) + COLUMN_STEP[key]) % buttons.length);
    if (key in TOOLBAR_STEP) {
      const all = neighbours();
      return all[all.indexOf(toolbar) + TOOLBAR_STEP[key]]?.querySelector("[tabindex='0']");
    }
    if (key === "Home") return buttons[0];
    return key === "End" ? buttons.at(-1) : undefined;
  }

  refresh();
  return refresh;
}
