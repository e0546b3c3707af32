// The posts.

import { POSTS, postTitle } from "../demo_content.js";
import { avatar, h } from "./dom.js";
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
