// The dialog for a new conversation: with one user it is a direct one, with several a group.

import { USER_NAME } from "../../names.js";
import { uniqueUsers } from "./people.js";
import { avatar, h, icon } from "../dom.js";
import { sheet } from "./sheet.js";
import { problemText } from "./texts.js";

const MAX_SUGGESTIONS = 8;

/** Opens the dialog. `people()`: names to suggest; `onopen(id)` is called with the new conversation. */
export function openNewConversation({ messenger, me, people, onopen }) {
  const chosen = [];
  const chips = h("ul", { class: "to-chips", "aria-label": "Chosen" });
  const field = h("input", { class: "to-field", id: "to-field", autocomplete: "off", autocapitalize: "none", spellcheck: "false", maxlength: "64",
    placeholder: "Name", "aria-describedby": "to-hint to-problem" });
  const suggestions = h("ul", { class: "suggestions", "aria-label": "Suggested" });
  const name = h("input", { id: "group-name", maxlength: "100", autocomplete: "off", placeholder: "Name of the group" });
  const nameLine = h("label", { class: "sheet-field", for: "group-name", hidden: true }, h("span", {}, "Group name"), name);
  const problem = h("p", { class: "sheet-problem", id: "to-problem", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary" }, "Start");
  const dialog = sheet({ title: "New conversation", name: "new-conversation" },
    h("form", { onsubmit: onSubmit },
      h("div", { class: "sheet-field" }, h("label", { for: "to-field" }, "To"), h("div", { class: "to-line" }, chips, field)),
      h("p", { class: "muted fine", id: "to-hint" }, "One name for a direct conversation, several for a group."),
      nameLine, suggestions, problem,
      h("div", { class: "sheet-actions" }, submit)));

  field.addEventListener("input", draw);
  field.addEventListener("keydown", (event) => {
    if (["Enter", ",", " "].includes(event.key) && field.value.trim()) {
      event.preventDefault();
      add(field.value.trim());
    } else if (event.key === "Backspace" && !field.value && chosen.length) {
      chosen.pop();
      draw();
    }
  });
  draw();
  field.focus();

  function add(user) {
    if (!USER_NAME.test(user)) return show("Letters, digits and . _ ~ - only, at most 64 of them.");
    if (user === me) return show("That is you.");
    if (!chosen.includes(user)) chosen.push(user);
    field.value = "";
    show("");
    draw();
    field.focus();
    return true;
  }

  function show(text) {
    problem.textContent = text;
    field.toggleAttribute("aria-invalid", text !== "");
    return false;
  }

  function draw() {
    chips.replaceChildren(...chosen.map((user) => h("li", {}, h("button", { type: "button", class: "to-chip", "aria-label": `Remove ${user}`,
      onclick: () => { chosen.splice(chosen.indexOf(user), 1); draw(); field.focus(); } }, avatar(user, "small"), user, icon("close")))));
    chips.hidden = chosen.length === 0;
    const typed = field.value.trim().toLowerCase();
    const found = uniqueUsers(people()).filter((user) => user !== me && !chosen.includes(user) && user.toLowerCase().includes(typed)).slice(0, MAX_SUGGESTIONS);
    suggestions.replaceChildren(...found.map((user) => h("li", {}, h("button", { type: "button", class: "suggestion", onclick: () => add(user) }, avatar(user), h("span", {}, user), icon("plus")))));
    const isGroup = chosen.length > 1;
    nameLine.hidden = !isGroup;
    name.required = isGroup;
    submit.textContent = isGroup ? "Create group" : "Start";
  }

  async function onSubmit(event) {
    event.preventDefault();
    const typed = field.value.trim();
    if (typed && !add(typed)) return;
    if (!chosen.length) {
      show("Whom do you want to write to?");
      field.focus();
      return;
    }
    if (chosen.length > 1 && !name.value.trim()) {
      name.focus();
      return;
    }
    submit.disabled = true;
    try {
      const id = chosen.length > 1 ? await messenger.createGroup(name.value.trim(), chosen) : await messenger.openDirect(chosen[0]);
      dialog.close();
      onopen(id);
    } catch (error) {
      show(problemText(error));
      submit.disabled = false;
    }
  }
}
