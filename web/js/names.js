// Random user names.

const ADJECTIVES = ["amber", "brisk", "calm", "clever", "copper", "dapper", "early", "fabled", "gentle", "golden", "happy", "hazel",
  "jolly", "keen", "lucky", "mellow", "merry", "misty", "nimble", "quiet", "rosy", "silver", "sunny", "velvet", "witty"];
const ANIMALS = ["badger", "beetle", "cricket", "curlew", "finch", "fox", "gecko", "heron", "ibis", "jackdaw", "kestrel", "lark",
  "lynx", "magpie", "marten", "otter", "owl", "panda", "plover", "robin", "seal", "starling", "swift", "wombat", "wren"];

const randomOf = (words) => words[Math.floor(Math.random() * words.length)];

/** Such as `velvet-otter`. */
export const randomName = () => `${randomOf(ADJECTIVES)}-${randomOf(ANIMALS)}`;

/** The user names that the server accepts. */
export const USER_NAME = /^[A-Za-z0-9_.~-]{1,64}$/;
