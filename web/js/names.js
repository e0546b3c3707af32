// Handles that are pleasant to be called by.

const HOW = ["amber", "brisk", "calm", "clever", "copper", "dapper", "early", "fabled", "gentle", "golden", "happy", "hazel",
  "jolly", "keen", "lucky", "mellow", "merry", "misty", "nimble", "quiet", "rosy", "silver", "sunny", "velvet", "witty"];
const WHO = ["badger", "beetle", "cricket", "curlew", "finch", "fox", "gecko", "heron", "ibis", "jackdaw", "kestrel", "lark",
  "lynx", "magpie", "marten", "otter", "owl", "panda", "plover", "robin", "seal", "starling", "swift", "wombat", "wren"];

const one = (words) => words[Math.floor(Math.random() * words.length)];

/** Such as `velvet-otter`. */
export const handle = () => `${one(HOW)}-${one(WHO)}`;

/** What the server takes as a user's name. */
export const NAME = /^[A-Za-z0-9_.~-]{1,64}$/;
