// The sign-in: a name where the server gives demo tokens, a pasted token elsewhere.

import { USER_NAME, randomName } from "../names.js";
import { TokenUnavailable, cleanToken, givesDemoTokens, isTokenAccepted, requestDemoToken, takeNotice, userOfToken } from "../net/tokens.js";
import { h } from "./dom.js";

const part = (id) => document.getElementById(`sign-in-${id}`);

/** Shows the sign-in and resolves with `{user, token}`; `token` is empty unless it was pasted. */
export function signIn() {
  const screen = document.getElementById("sign-in");
  const submit = part("form").querySelector("[type='submit']");
  const name = part("name");
  const token = part("token");
  name.value ||= randomName();
  part("dice").onclick = () => {
    name.value = randomName();
    showProblem("");
    name.focus();
  };
  screen.hidden = false;
  part("problem").textContent = takeNotice();
  document.documentElement.dataset.screen = "sign-in";
  if (matchMedia("(hover: hover)").matches) {
    name.focus();
    name.select();
  }
  // Without demo tokens the form asks for a token at once. Where the server cannot be reached, the submit says so.
  givesDemoTokens().then((given) => given || askForToken(), () => {});

  return new Promise((resolve) => {
    part("form").onsubmit = async (event) => {
      event.preventDefault();
      showProblem("");
      submit.disabled = true;
      try {
        const user = await (part("paste").hidden ? byName(name.value.trim()) : byToken(cleanToken(token.value)));
        if (!user) return;
        document.documentElement.dataset.screen = "main";
        screen.hidden = true;
        resolve(user);
      } catch (error) {
        if (error instanceof TokenUnavailable) askForToken();
        else showProblem("The server does not answer. Is it running?");
      } finally {
        submit.disabled = false;
      }
    };
  });

  async function byName(user) {
    if (!USER_NAME.test(user)) return showProblem("Letters, digits and . _ ~ - only, at most 64 of them.", name);
    await requestDemoToken(user);
    return { user, token: "" };
  }

  async function byToken(text) {
    const user = userOfToken(text);
    if (!USER_NAME.test(user)) return showProblem("This is no token of a user. A token has three parts with dots between them.", token);
    if (!(await isTokenAccepted(text))) {
      return showProblem("The server does not accept this token. It may be too old, or from another server.", token);
    }
    return { user, token: text };
  }

  function showProblem(text, field) {
    part("problem").textContent = text;
    for (const input of [name, token]) input.toggleAttribute("aria-invalid", false);
    field?.setAttribute("aria-invalid", "true");
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
