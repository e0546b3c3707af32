// The content of the demo: posts and a conversation of a small theatre.

export const POSTS = [
  {
    target: "posts/opening-night",
    author: "Stage",
    role: "second act",
    when: "Friday, 23:10",
    text: "A fuse went in the second act. Forty phones came out, not one of them to film. They lit the stage until the last line, and then they lit us.",
    picture: { src: "img/opening-night.svg", alt: "Beams of light from the stalls meet on a lone actor on a dark stage." },
  },
  {
    target: "posts/one-line",
    author: "Workshop",
    role: "Workshop notes",
    when: "Thursday, 17:42",
    quote: "The fix was one line. Finding it took three days. Writing down how we found it is the part that counts.",
  },
  {
    target: "posts/cold-water",
    author: "Swimmers",
    role: "before work",
    when: "Thursday, 06:40",
    text: "Nine degrees, four of us in, nobody brave. The coffee afterwards was the best I have ever had, as it was last week.",
    picture: { src: "img/cold-water.svg", alt: "The sun rises over a flat sea with four small heads in the water." },
  },
];

export const CONVERSATION = {
  title: "Load-in crew",
  people: ["Doors", "Props", "Lights", "Sound", "Stage"],
  messages: [
    { target: "messages/crew-1", author: "Doors", when: "09:12", text: "Van’s outside. Who has the key to the scene dock?" },
    { target: "messages/crew-2", author: "Props", when: "09:13", text: "Me. Two minutes, I’m carrying the moon." },
    { target: "messages/crew-3", author: "Doors", when: "09:13", text: "The whole moon?" },
    { target: "messages/crew-4", author: "Props", when: "09:14", text: "It’s a small moon." },
    {
      target: "messages/crew-5",
      author: "Lights",
      when: "09:20",
      text: "Lamps are focused. Row F, seat 12 still gets the follow spot right in the eyes. Sorry to whoever that is.",
    },
    { target: "messages/crew-6", author: "Sound", when: "09:21", text: "That’s my mum." },
    { target: "messages/crew-7", author: "Lights", when: "09:21", text: "Then it stays." },
    {
      target: "messages/crew-8",
      author: "Stage",
      when: "09:30",
      text: "House opens at seven. Go and eat something, all of you. There is pizza in the foyer.",
    },
  ],
};

export const TARGETS = [...POSTS, ...CONVERSATION.messages].map(({ target }) => target);

/** `Stage’s post`, `Swimmers’ post`. */
export const postTitle = (author) => `${author}${author.endsWith("s") ? "’" : "’s"} post`;

const titles = new Map([
  ...POSTS.map(({ target, author }) => [target, postTitle(author)]),
  ...CONVERSATION.messages.map(({ target, text }) => [target, `“${text.length > 28 ? `${text.slice(0, 26).trim()}…` : text}”`]),
]);

/** A short title of a target. */
export const titleOf = (target) => titles.get(target) ?? target;
