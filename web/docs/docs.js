// The reference of HTTP. On a demo, whoever gives a name can try the calls; elsewhere one pastes a token under Authorize.
const ui = SwaggerUIBundle({
  url: "/openapi.json",
  domNode: document.getElementById("reference"),
  deepLinking: true,
  defaultModelsExpandDepth: -1,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: false,
  persistAuthorization: false,
  syntaxHighlight: { activated: true, theme: "nord" },
  tryItOutEnabled: true,
  validatorUrl: null,
});

const form = document.getElementById("sign-in");
const said = document.getElementById("signed-in");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const user = new FormData(form).get("user");
  try {
    const answer = await fetch("/api/v1/dev/token", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user }),
    });
    if (!answer.ok) {
      said.textContent = "This server gives no tokens: paste one under Authorize.";
      return;
    }
    const { token } = await answer.json();
    ui.preauthorizeApiKey("bearer", token);
    said.textContent = `Signed in as ${user}`;
  } catch {
    said.textContent = "The server cannot be reached.";
  }
});
