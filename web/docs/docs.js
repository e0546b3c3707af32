// The HTTP reference. The sign-in takes a user's name where the server gives demo tokens, a token elsewhere.

import { cleanToken, givesDemoTokens, isTokenAccepted, requestDemoToken, userOfToken } from "/js/net/tokens.js";

// Swagger UI warns where a list has items of a format for which it has no input: 64-bit numbers are typed as text.
const int64Input = ({ React, getComponent }) => ({
  components: { JsonSchema_integer_int64: (props) => React.createElement(getComponent("JsonSchema_string"), props) },
});

const ui = SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("reference"),
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: false,
  persistAuthorization: false,
  plugins: [int64Input],
  syntaxHighlight: { activated: true, theme: "nord" },
  tryItOutEnabled: true,
  validatorUrl: null,
});

const form = document.getElementById("sign-in");
const result = document.getElementById("sign-in-result");

let demo = true;
givesDemoTokens().then((given) => given || askForToken(), () => {});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = new FormData(form).get("user").trim();
  try {
    const token = demo ? (await requestDemoToken(text)).token : cleanToken(text);
    if (!demo && !(userOfToken(token) && (await isTokenAccepted(token)))) {
      show("The server does not accept this token.", "failed");
      return;
    }
    ui.preauthorizeApiKey("bearer", token);
    show(`Signed in as ${demo ? text : userOfToken(token)}`, "succeeded");
  } catch (error) {
    if (error.final) askForToken();
    show(error.final ? error.message : "The server cannot be reached.", "failed");
  }
});

function askForToken() {
  demo = false;
  form.dataset.by = "token";
  const input = form.elements.user;
  form.querySelector("label").textContent = "Your token";
  input.removeAttribute("pattern");
  input.value = "";
  input.placeholder = "plaudit token mint NAME";
}

function show(text, outcome) {
  result.textContent = text;
  result.dataset.outcome = outcome;
}
