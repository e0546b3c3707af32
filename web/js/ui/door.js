// The door: who are you? A name is enough where the server gives demo tokens; elsewhere a token is pasted.

import { NAME, handle } from "../names.js";
import { NoToken, accepts, cleaned, tokensOf, userOf } from "../net/tokens.js";
import { h } from "./dom.js";

const part = (id) => document.getElementById(`door-${id}`);

/** Shows the door and resolves with `{user, token}`; `token` only where it was pasted. */
export function askWho() {
  const door = document.getElementById("door");
  const submit = part("form").querySelector("[type='submit']");
  const name = part("name");
  const token = part("token");
  name.value ||= handle();
  part("dice").onclick = () => {
    name.value = handle();
    complain("");
    name.focus();
  };
  door.hidden = false;
  document.documentElement.dataset.scene = "door";
  if (matchMedia("(hover: hover)").matches) name.select();
  // A server without demo tokens is known as such before anybody has typed a name.
  tokensOf({ user: name.value })(true).catch((error) => error instanceof NoToken && askForToken());

  return new Promise((resolve) => {
    part("form").onsubmit = async (event) => {
      event.preventDefault();
      complain("");
      submit.disabled = true;
      try {
        const who = await (part("paste").hidden ? named(name.value.trim()) : pasted(cleaned(token.value)));
        if (!who) return;
        document.documentElement.dataset.scene = "stage";
        door.hidden = true;
        resolve(who);
      } catch (error) {
        if (error instanceof NoToken) askForToken();
        else complain("The server does not answer. Is it running?");
      } finally {
        submit.disabled = false;
      }
    };
  });

  async function named(user) {
    if (!NAME.test(user)) return complain("Letters, digits and . _ ~ - only, at most 64 of them.", name);
    await tokensOf({ user })(true);
    return { user, token: "" };
  }

  async function pasted(text) {
    const user = userOf(text);
    if (!NAME.test(user)) return complain("This is no token of a user. A token has three parts with dots between them.", token);
    if (!(await accepts(text))) return complain("The server does not accept this token. It may be too old, or from another server.", token);
    return { user, token: text };
  }

  function complain(text, field) {
    part("problem").textContent = text;
    field?.focus();
    return null;
  }

  function askForToken() {
    part("line").hidden = true;
    name.required = false;
    part("paste").hidden = false;
    part("text").replaceChildren("This server gives no demo tokens. Paste a token of your own: ",
      h("code", {}, "plaudit token mint NAME"), " on the server’s machine prints one.");
    token.focus();
  }
}
