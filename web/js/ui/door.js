// The door: who are you? A name is enough where the server gives demo tokens; elsewhere a token is pasted.

import { NAME, handle } from "../names.js";
import { NoToken, tokensOf, userOf } from "../net/tokens.js";

/** Shows the door and resolves with `{user, token}`; `token` only where it was pasted. */
export function askWho() {
  const door = document.getElementById("door");
  const form = document.getElementById("door-form");
  const name = document.getElementById("door-name");
  const token = document.getElementById("door-token");
  const problem = document.getElementById("door-problem");
  const submit = form.querySelector("[type='submit']");
  name.value ||= handle();
  document.getElementById("door-dice").onclick = () => {
    name.value = handle();
    problem.textContent = "";
    name.focus();
  };
  door.hidden = false;
  document.documentElement.dataset.scene = "door";
  if (matchMedia("(hover: hover)").matches) name.select();

  return new Promise((resolve) => {
    form.onsubmit = async (event) => {
      event.preventDefault();
      problem.textContent = "";
      const pasted = document.getElementById("door-paste").hidden ? "" : token.value.trim();
      const user = pasted ? userOf(pasted) || name.value.trim() : name.value.trim();
      if (!NAME.test(user)) {
        problem.textContent = "Letters, digits and . _ ~ - only, at most 64 of them.";
        return name.focus();
      }
      submit.disabled = true;
      try {
        await tokensOf({ user, token: pasted })(true);
        document.documentElement.dataset.scene = "stage";
        door.hidden = true;
        resolve({ user, token: pasted });
      } catch (error) {
        explain(error);
      } finally {
        submit.disabled = false;
      }
      return undefined;
    };
  });

  function explain(error) {
    if (error instanceof NoToken) {
      document.getElementById("door-paste").hidden = false;
      problem.textContent = "This server hands out no demo tokens. Paste one of yours.";
      token.focus();
    } else {
      problem.textContent = "The server does not answer. Is it running?";
    }
  }
}
