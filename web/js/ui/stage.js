// The posts and the conversation.

import { CONVERSATION, POSTS, postOf } from "../content.js";
import { avatar, h } from "./dom.js";
import { chips } from "./chips.js";
import { choice } from "./choice.js";

/** The feed of posts. */
export function feed(context) {
  return POSTS.map((post) => {
    const id = post.target.replace("/", "-");
    return h("article", { class: `post ${post.quote ? "quoted" : ""}`, "aria-labelledby": `${id}-by`, "data-target": post.target },
      h("header", { class: "by" }, avatar(post.author),
        h("div", {}, h("h3", { id: `${id}-by` }, post.author), h("p", { class: "muted" }, `${post.role} · ${post.when}`))),
      post.quote && h("blockquote", {}, post.quote),
      post.text && h("p", { class: "post-text" }, post.text),
      post.picture && h("img", { class: "picture", src: post.picture.src, alt: post.picture.alt, width: "640", height: "360", loading: "lazy" }),
      choice({ ...context, target: post.target, label: postOf(post.author) }));
  });
}

/** The conversation; messages of one person in a row stand together. */
export function conversation(context) {
  const toolbars = [];
  let before = "";
  const lines = CONVERSATION.messages.map(({ target, author, when, text }) => {
    const first = author !== before;
    before = author;
    const toolbar = chips({ ...context, target, label: `${author}: ${text}`, neighbours: () => toolbars });
    toolbars.push(toolbar);
    return h("li", { class: `line ${first ? "first" : ""}`, "data-target": target },
      first ? avatar(author) : h("span", { class: "avatar-gap" }),
      h("div", { class: "line-body" },
        first && h("p", { class: "line-by" }, h("strong", {}, author), h("time", { class: "muted" }, when)),
        h("p", { class: "bubble" }, text), toolbar));
  });
  return [
    h("header", { class: "chat-head" },
      h("div", {}, h("h2", { id: "chat-title" }, CONVERSATION.title), h("p", { class: "muted" }, `${CONVERSATION.people.length} people, one moon`)),
      h("span", { class: "faces", "aria-hidden": "true" }, ...CONVERSATION.people.map((name) => avatar(name, "small")))),
    h("ol", { class: "lines" }, ...lines),
  ];
}
