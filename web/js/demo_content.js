// The content of the demo: posts and a conversation of a small theatre.

import { setTitle } from "./titles.js";

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

/** The group that each user of the demo gets: its lines are sent to it by the users named here. */
export const CREW = {
  name: "Load-in crew",
  lines: [
    { author: "Doors", text: "Van’s outside. Who has the key to the scene dock?" },
    { author: "Props", text: "Me. Two minutes, I’m carrying the moon." },
    { author: "Doors", text: "The whole moon?" },
    { author: "Props", text: "It’s a small moon." },
    { author: "Lights", text: "Lamps are focused. Row F, seat 12 still gets the follow spot right in the eyes. Sorry to whoever that is." },
    { author: "Sound", text: "That’s my mum." },
    { author: "Lights", text: "Then it stays." },
    { author: "Stage", text: "House opens at seven. Go and eat something, all of you. There is pizza in the foyer." },
  ],
};

/** The group of all users of the demo. */
export const FOYER = { name: "Foyer", creator: "Stage" };

/** The users of the demo that nobody plays. */
export const CAST = [...new Set(CREW.lines.map(({ author }) => author))];

/** `Stage’s post`, `Swimmers’ post`. */
export const postTitle = (author) => `${author}${author.endsWith("s") ? "’" : "’s"} post`;

for (const { target, author } of POSTS) setTitle(target, postTitle(author));
