// The page: who is here, the connection, the reactions, and everything that shows them.

import { TARGETS } from "./content.js";
import { nameOf } from "./emoji.js";
import { Connection } from "./net/connection.js";
import { deviceOfThisTab } from "./net/ids.js";
import { forget, remember, remembered, tokensOf } from "./net/tokens.js";
import { Crowd } from "./state/crowd.js";
import { Reactions } from "./state/reactions.js";
import { askWho } from "./ui/door.js";
import { avatar, say, still } from "./ui/dom.js";
import { metersPanel } from "./ui/meters.js";
import { People } from "./ui/people.js";
import { Picker } from "./ui/picker.js";
import { conversation, feed } from "./ui/stage.js";
import { bindStatus, refusal, toast } from "./ui/status.js";
import { stormPanel } from "./ui/storm.js";
import { tickerPanel } from "./ui/ticker.js";

const socketUrl = () => {
  const url = new URL("ws/connect", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
};

async function start() {
  const who = remembered() ?? (await askWho());
  remember(who);
  document.documentElement.dataset.scene = "stage";
  document.getElementById("me").replaceChildren(avatar(who.user, "small"), who.user);

  const connection = new Connection({ url: socketUrl(), tokens: tokensOf(who), device: await deviceOfThisTab() });
  const reactions = new Reactions(connection, TARGETS);
  const crowd = who.token ? null : new Crowd(socketUrl()); // its people have no tokens of their own
  const picker = new Picker();
  const context = { reactions, people: new People(reactions, who.user), picker, me: who.user };

  bindStatus(connection, { rejoin: (replaced) => (replaced ? location.reload() : leave()) });
  document.getElementById("posts").replaceChildren(...feed(context));
  document.getElementById("chat").replaceChildren(...conversation(context));
  document.getElementById("activity").replaceChildren(stormPanel(crowd, showTarget), metersPanel(connection, reactions), tickerPanel(reactions));
  document.getElementById("leave").onclick = leave;
  reactions.addEventListener("refused", ({ detail }) => toast(refusal(detail.error)));
  reactions.addEventListener("own", ({ detail }) => say(`${nameOf(detail.emoji)} ${detail.on ? "given" : "taken back"}.`));
  crowd?.addEventListener("stats", ({ detail }) => (document.documentElement.dataset.storm = String(detail.running)));
  connection.open();
  connection.addEventListener("welcome", () => picker.load());

  function leave() {
    crowd?.stop();
    connection.close();
    forget();
    location.reload();
  }
}

// On a phone one of the three views is shown at a time; on a desk all are and the bar is not there.
const viewButtons = [...document.querySelectorAll("[data-view-button]")];

function showView(view) {
  document.documentElement.dataset.view = view;
  for (const button of viewButtons) button.setAttribute("aria-pressed", String(button.dataset.viewButton === view));
  scrollTo(0, 0);
}

function showTarget(target) {
  showView(target.startsWith("posts/") ? "posts" : "chat");
  document.querySelector(`[data-target="${target}"]`).scrollIntoView({ block: "nearest", behavior: still() ? "auto" : "smooth" });
}

for (const button of viewButtons) button.addEventListener("click", () => showView(button.dataset.viewButton));
document.getElementById("connection").addEventListener("click", () => showView("activity"));

start();
