// The dialog that reports a message to the moderators.

import { h } from "../dom.js";
import { toast } from "../toast.js";
import { sheet } from "./sheet.js";
import { problemText } from "./texts.js";

const REASONS = [
  ["SPAM", "Spam"],
  ["HARASSMENT", "Insults or threats"],
  ["HATE", "Hatred of a group of people"],
  ["VIOLENCE", "Violence"],
  ["SEXUAL", "Sexual content"],
  ["SELF_HARM", "Somebody may harm themselves"],
  ["ILLEGAL", "Against the law"],
  ["OTHER", "Something else"],
];

/** Opens the dialog. */
export function openReport(messenger, conversationId, message) {
  const note = h("textarea", { id: "report-note", rows: "3", maxlength: "1000" });
  const problem = h("p", { class: "sheet-problem", role: "alert" });
  const submit = h("button", { type: "submit", class: "primary", disabled: true }, "Report");
  const reasons = REASONS.map(([value, text]) => h("label", { class: "reason" },
    h("input", { type: "radio", name: "reason", value: `REPORT_REASON_${value}`, required: true, onchange: () => (submit.disabled = false) }), h("span", {}, text)));
  const dialog = sheet({ title: "Report message", name: "report-sheet" },
    h("form", { onsubmit: onSubmit },
      h("p", { class: "muted fine" }, `The moderators get a copy of it. ${message.senderId} is not told.`),
      h("fieldset", { class: "reasons" }, h("legend", { class: "visually-hidden" }, "Reason"), ...reasons),
      h("label", { class: "sheet-field", for: "report-note" }, h("span", {}, "Note (optional)"), note),
      problem, h("div", { class: "sheet-actions" }, submit)));
  reasons[0].firstChild.focus();

  async function onSubmit(event) {
    event.preventDefault();
    const reason = new FormData(event.target).get("reason");
    submit.disabled = true;
    try {
      await messenger.reportMessage(conversationId, message, reason, note.value.trim());
      dialog.close();
      toast("Reported. The moderators will look at it.");
    } catch (error) {
      problem.textContent = problemText(error);
      submit.disabled = false;
    }
  }
}
