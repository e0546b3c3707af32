// Long presses on a touch screen.

const LONG_PRESS_MS = 450;

/** Calls `run` on a long press, which then is no click. */
export function onLongPress(element, run) {
  let timer = 0;
  let isLong = false;
  element.addEventListener("pointerdown", ({ pointerType }) => {
    isLong = false;
    if (pointerType === "mouse") return;
    timer = setTimeout(() => {
      isLong = true;
      run();
    }, LONG_PRESS_MS);
  });
  for (const type of ["pointerup", "pointercancel", "pointerleave"]) element.addEventListener(type, () => clearTimeout(timer));
  element.addEventListener("contextmenu", (event) => isLong && event.preventDefault());
  element.addEventListener("click", (event) => {
    if (isLong) event.stopImmediatePropagation();
    isLong = false;
  }, { capture: true });
}
