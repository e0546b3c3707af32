// The settings of the account: privacy, and which devices are logged in.

import { getPreferences, logOutOtherDevices, updatePreferences } from "../../vendor/plaudit-client.js";
import { announce, h, icon } from "../dom.js";
import { confirmed } from "./confirm.js";
import { sheet } from "./sheet.js";
import { problemText } from "./texts.js";

const AUDIENCES = [["AUDIENCE_EVERYONE", "Everyone"], ["AUDIENCE_CONTACTS", "Contacts"], ["AUDIENCE_NOBODY", "Nobody"]];

/** Opens the dialog. */
export async function openSettings(client, me) {
  const problem = h("p", { class: "sheet-problem", role: "alert" });
  const privacy = h("section", { class: "settings-part", "aria-labelledby": "settings-privacy", "aria-busy": "true" });
  const devices = h("p", { class: "muted", role: "status" }, "This device stays logged in.");
  const logOut = h("button", { type: "button", class: "quiet danger", onclick: logOutOthers }, icon("leave"), "Log out of all other devices");
  sheet({ title: "Settings", name: "settings-sheet" },
    h("p", { class: "muted fine" }, `You are ${me}.`), privacy,
    h("section", { class: "settings-part", "aria-labelledby": "settings-devices" }, h("h3", { id: "settings-devices" }, "Devices"), logOut, devices), problem);
  privacy.append(h("h3", { id: "settings-privacy" }, "Privacy"));
  try {
    const preferences = await getPreferences(client);
    privacy.append(
      audience("Who may write to you first", "whoMayWrite", preferences),
      audience("Who may add you to groups", "whoMayAdd", preferences),
      check("Others see what you have read", "readReceipts", preferences),
      check("Others find you by your telephone number", "phoneLookup", preferences));
  } catch (error) {
    problem.textContent = problemText(error);
  }
  privacy.setAttribute("aria-busy", "false");

  function audience(text, name, preferences) {
    const select = h("select", { onchange: () => change(name, select.value, (shown) => (select.value = shown)) },
      ...AUDIENCES.map(([value, label]) => h("option", { value }, label)));
    select.value = preferences[name];
    return h("label", { class: "setting" }, h("span", {}, text), select);
  }

  function check(text, name, preferences) {
    const box = h("input", { type: "checkbox", role: "switch", class: "toggle", onchange: () => change(name, box.checked, (shown) => (box.checked = shown)) });
    box.checked = preferences[name];
    return h("label", { class: "setting" }, h("span", {}, text), box);
  }

  // As the server has it, also where it refuses the change.
  async function change(name, value, show) {
    problem.textContent = "";
    try {
      show((await updatePreferences(client, { [name]: value }))[name]);
      announce("Saved.");
    } catch (error) {
      problem.textContent = problemText(error);
      await getPreferences(client).then((preferences) => show(preferences[name]), () => {});
    }
  }

  async function logOutOthers() {
    const isSure = await confirmed({ title: "Log out of all other devices?", text: "They have to sign in again. Other windows in which you are signed in are such devices, too.", action: "Log out" });
    if (!isSure) return;
    problem.textContent = "";
    try {
      const ended = await logOutOtherDevices(client);
      devices.textContent = ended ? `Logged out ${ended} other ${ended === 1 ? "device" : "devices"}.` : "No other device was logged in.";
    } catch (error) {
      problem.textContent = problemText(error);
    }
  }
}
