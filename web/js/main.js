// The page: signs the user in, connects, and builds the views.

import { CAST, POSTS } from "./demo_content.js";
import { makeDemoConversations } from "./demo_conversations.js";
import { emojiName } from "./emoji.js";
import { clearSavedUser, saveUser, saveNotice, savedUser, tokenSource } from "./net/tokens.js";
import { LoadGenerator } from "./state/load_generator.js";
import { Reactions } from "./state/reactions.js";
import { showConnectionStatus } from "./ui/connection_status.js";
import { announce, avatar, h, prefersReducedMotion } from "./ui/dom.js";
import { EmojiPicker } from "./ui/emoji_picker.js";
import { postList } from "./ui/feed.js";
import { latencyPanel } from "./ui/latency_panel.js";
import { MessengerView } from "./ui/messenger/messenger_view.js";
import { openSettings } from "./ui/messenger/settings.js";
import { ReactorsView } from "./ui/reactors.js";
import { signIn } from "./ui/sign_in.js";
import { stormPanel } from "./ui/storm_panel.js";
import { tickerPanel } from "./ui/ticker_panel.js";
import { refusalText, toast } from "./ui/toast.js";
import { onViewShown, showView, toggleActivity } from "./ui/views.js";
import { Messenger, connect, tabDeviceId } from "./vendor/plaudit-client.js";

const LOGGED_OUT = 4505; // the close code

function socketUrl() {
  const url = new URL("ws/connect", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

async function start() {
  const user = savedUser() ?? (await signIn());
  saveUser(user);
  document.documentElement.dataset.screen = "main";

  const client = connect(socketUrl(), tokenSource(user), { device: await tabDeviceId(), backlog: true, client: "plaudit-web/0.1" });
  const messenger = new Messenger(client, { storage: localStorage });
  const reactions = new Reactions(client, POSTS.map(({ target }) => target));
  const generator = user.token ? null : new LoadGenerator(socketUrl()); // without demo tokens it has no users
  const picker = new EmojiPicker();
  const context = { client, messenger, reactions, reactors: new ReactorsView(reactions, user.user), picker, me: user.user };

  const meButton = document.getElementById("me");
  meButton.replaceChildren(avatar(user.user, "small"), h("span", { class: "me-name" }, user.user));
  meButton.setAttribute("aria-label", `Settings of ${user.user}`);
  meButton.title = "Settings";
  meButton.onclick = () => openSettings(client, user.user);

  client.on("state", ({ code }) => code === LOGGED_OUT && leave("This device was logged out from another one."));
  showConnectionStatus(client, { rejoin: (replaced) => (replaced ? location.reload() : signOut()) });
  document.getElementById("posts").replaceChildren(...postList(context));
  const messengerView = new MessengerView({ ...context, strangers: CAST, showMessenger: () => showView("chat") });
  onViewShown((view) => view === "chat" && messengerView.shown());
  document.getElementById("activity").replaceChildren(stormPanel(generator, showTarget), latencyPanel(client, reactions), tickerPanel(reactions));
  document.getElementById("sign-out").onclick = signOut;
  reactions.addEventListener("refused", ({ detail }) => toast(refusalText(detail.error)));
  reactions.addEventListener("own", ({ detail }) => announce(`${emojiName(detail.emoji)} ${detail.on ? "given" : "taken back"}.`));
  generator?.addEventListener("stats", ({ detail }) => (document.documentElement.dataset.storm = String(detail.running)));
  client.addEventListener("welcome", () => picker.load());
  client.addEventListener("welcome", showConversations);

  async function showConversations() {
    try {
      await messenger.loadConversations();
    } catch {
      return; // the connection is lost again: the next session loads them
    }
    client.removeEventListener("welcome", showConversations);
    const names = new Set(messenger.conversations.map(({ name }) => name));
    if (!user.token) await makeDemoConversations(user.user, names);
    messengerView.setLoaded();
  }

  function signOut() {
    client.close();
    leave();
  }

  // To the sign-in, which shows the notice.
  function leave(notice = "") {
    generator?.stop();
    clearSavedUser();
    if (notice) saveNotice(notice);
    location.reload();
  }
}

function showTarget(target) {
  showView("posts");
  const behavior = prefersReducedMotion() ? "auto" : "smooth";
  document.querySelector(`[data-target="${target}"]`).scrollIntoView({ block: "nearest", behavior });
}

document.getElementById("connection").addEventListener("click", toggleActivity);
start();
