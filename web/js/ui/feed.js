// The posts and the conversation.

import { CONVERSATION, POSTS, postTitle } from "../demo_content.js";
import { avatar, h } from "./dom.js";
import { messageReactions } from "./message_reactions.js";
import { postReactions } from "./post_reactions.js";

/** The posts. */
export function postList(context) {
  return POSTS.map((post) => {
    const id = post.target.replace("/", "-");
    return h("article", { class: `post ${post.quote ? "quoted" : ""}`, "aria-labelledby": `${id}-by`, "data-target": post.target },
      h("header", { class: "by" }, avatar(post.author),
        h("div", {}, h("h3", { id: `${id}-by` }, post.author), h("p", { class: "muted" }, `${post.role} · ${post.when}`))),
      post.quote && h("blockquote", {}, post.quote),
      post.text && h("p", { class: "post-text" }, post.text),
      post.picture && h("img", { class: "picture", src: post.picture.src, alt: post.picture.alt, width: "640", height: "360", loading: "lazy" }),
      postReactions({ ...context, target: post.target, label: postTitle(post.author) }));
  });
}

/** The conversation. Successive messages of one author have one heading. */
export function messageList(context) {
  const toolbars = [];
  let lastAuthor = "";
  const lines = CONVERSATION.messages.map(({ target, author, when, text }) => {
    const isFirst = author !== lastAuthor;
    lastAuthor = author;
    const toolbar = messageReactions({ ...context, target, label: `${author}: ${text}`, neighbours: () => toolbars });
    toolbars.push(toolbar);
    return h("li", { class: `line ${isFirst ? "first" : ""}`, "data-target": target },
      isFirst ? avatar(author) : h("span", { class: "avatar-gap" }),
      h("div", { class: "line-body" },
        isFirst && h("p", { class: "line-by" }, h("strong", {}, author), h("time", { class: "muted" }, when)),
        h("p", { class: "bubble" }, text), toolbar));
  });
  return [
    h("header", { class: "chat-head" },
      h("div", {}, h("h2", { id: "chat-title" }, CONVERSATION.title), h("p", { class: "muted" }, `${CONVERSATION.people.length} people, one moon`)),
      h("span", { class: "faces", "aria-hidden": "true" }, ...CONVERSATION.people.map((name) => avatar(name, "small")))),
    h("ol", { class: "lines" }, ...lines),
  ];
}
