// Light or dark, before the first paint: a plain script, since modules run later.
(() => {
  const KEY = "plaudit.theme";
  const root = document.documentElement;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const chosen = () => localStorage.getItem(KEY) ?? (dark.matches ? "dark" : "light");
  const show = () => {
    root.dataset.theme = chosen();
    const button = document.getElementById("theme");
    if (button) button.setAttribute("aria-label", `Switch to ${chosen() === "dark" ? "light" : "dark"}`);
  };
  show();
  dark.addEventListener("change", show);
  addEventListener("storage", show);
  addEventListener("DOMContentLoaded", () => {
    show();
    document.getElementById("theme").addEventListener("click", () => {
      const next = chosen() === "dark" ? "light" : "dark";
      // The theme of the system is not saved: the page follows the system again.
      if (next === (dark.matches ? "dark" : "light")) localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, next);
      show();
    });
  });
})();
