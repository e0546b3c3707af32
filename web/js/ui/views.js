// What is visible: on a phone one of three views at a time, on a wider screen the panels of the activity or not.

const ACTIVITY_KEY = "plaudit.activity";
const root = document.documentElement;
const viewButtons = [...document.querySelectorAll("[data-view-button]")];
const activityButton = document.getElementById("activity-button");
const isPhone = matchMedia("(max-width: 859px)");
let onShown = () => {};

/** Sets what is called with the name of a view when it is shown. */
export function onViewShown(run) {
  onShown = run;
}

/** Shows a view on a phone. */
export function showView(view) {
  const isNew = root.dataset.view !== view;
  root.dataset.view = view;
  for (const button of viewButtons) button.setAttribute("aria-pressed", String(button.dataset.viewButton === view));
  if (isNew && isPhone.matches) scrollTo(0, 0);
  onShown(view);
}

/** Shows or hides the panels of the activity; on a phone they are a view. */
export function toggleActivity() {
  if (isPhone.matches) return showView("activity");
  return showActivity(root.dataset.activity !== "open");
}

function showActivity(isOpen) {
  root.dataset.activity = isOpen ? "open" : "closed";
  activityButton.setAttribute("aria-expanded", String(isOpen));
  localStorage.setItem(ACTIVITY_KEY, root.dataset.activity);
}

for (const button of viewButtons) button.addEventListener("click", () => showView(button.dataset.viewButton));
activityButton.addEventListener("click", toggleActivity);
showActivity(localStorage.getItem(ACTIVITY_KEY) === "open");
