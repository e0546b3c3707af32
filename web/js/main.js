// The page: signs the user in, connects, and builds the views.

import { TARGETS } from "./demo_content.js";
import { emojiName } from "./emoji.js";
import { clearSavedUser, saveUser, savedUser, tokenSource } from "./net/tokens.js";
import { LoadGenerator } from "./state/load_generator.js";
import { Reactions } from "./state/reactions.js";
import { showConnectionStatus } from "./ui/connection_status.js";
import { announce, avatar, h, prefersReducedMotion } from "./ui/dom.js";
import { EmojiPicker } from "./ui/emoji_picker.js";
import { messageList, postList } from "./ui/feed.js";
import { latencyPanel } from "./ui/latency_panel.js";
import { ReactorsView } from "./ui/reactors.js";
import { signIn } from "./ui/sign_in.js";
import { stormPanel } from "./ui/storm_panel.js";
import { tickerPanel } from "./ui/ticker_panel.js";
import { refusalText, toast } from "./ui/toast.js";
import { connect, tabDeviceId } from "./vendor/plaudit-client.js";

function socketUrl() {
  const url = new URL("ws/connect", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

async function start() {
  const user = savedUser() ?? (await signIn());
  saveUser(user);
  document.documentElement.dataset.screen = "main";
  document.getElementById("me").replaceChildren(avatar(user.user, "small"), h("span", { class: "me-name" }, user.user));

  const connection = connect(socketUrl(), tokenSource(user), { device: await tabDeviceId(), client: "plaudit-web/0.1" });
  const reactions = new Reactions(connection, TARGETS);
  const generator = user.token ? null : new LoadGenerator(socketUrl()); // without demo tokens it has no users
  const picker = new EmojiPicker();
  const context = { reactions, reactors: new ReactorsView(reactions, user.user), picker, me: user.user };

  showConnectionStatus(connection, { rejoin: (replaced) => (replaced ? location.reload() : signOut()) });
  document.getElementById("posts").replaceChildren(...postList(context));
  document.getElementById("chat").replaceChildren(...messageList(context));
  document.getElementById("activity").replaceChildren(stormPanel(generator, showTarget), latencyPanel(connection, reactions), tickerPanel(reactions));
  document.getElementById("sign-out").onclick = signOut;
  reactions.addEventListener("refused", ({ detail }) => toast(refusalText(detail.error)));
  reactions.addEventListener("own", ({ detail }) => announce(`${emojiName(detail.emoji)} ${detail.on ? "given" : "taken back"}.`));
  generator?.addEventListener("stats", ({ detail }) => (document.documentElement.dataset.storm = String(detail.running)));
  connection.addEventListener("welcome", () => picker.load());

  function signOut() {
    generator?.stop();
    connection.close();
    clearSavedUser();
    location.reload();
  }
}

// On a phone one of the three views is visible at a time, and a bar switches between them.
const viewButtons = [...document.querySelectorAll("[data-view-button]")];

function showView(view) {
  document.documentElement.dataset.view = view;
  for (const button of viewButtons) button.setAttribute("aria-pressed", String(button.dataset.viewButton === view));
  scrollTo(0, 0);
}

function showTarget(target) {
  showView(target.startsWith("posts/") ? "posts" : "chat");
  const behavior = prefersReducedMotion() ? "auto" : "smooth";
  document.querySelector(`[data-target="${target}"]`).scrollIntoView({ block: "nearest", behavior });
}

for (const button of viewButtons) button.addEventListener("click", () => showView(button.dataset.viewButton));
document.getElementById("connection").addEventListener("click", () => showView("activity"));

start();
