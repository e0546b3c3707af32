-- Records of reactions, the operations that made them, and what is known of each target.

CREATE TABLE target (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  counts TEXT NOT NULL,              -- JSON: people per emoji, without zeros
  UNIQUE (tenant, name)
);

-- A reaction taken back stays as a row with held = 0: its version tells its last operation from older ones.
CREATE TABLE record (
  target INTEGER NOT NULL,
  user TEXT NOT NULL,
  emoji TEXT NOT NULL,
  held INTEGER NOT NULL,
  version INTEGER NOT NULL,          -- of the last change
  PRIMARY KEY (target, user, emoji)
) WITHOUT ROWID;

CREATE INDEX record_held ON record (target, emoji, version) WHERE held;

-- The op_id comes first in the key: as UUIDv7s they grow, whatever the target, so new rows go to the same few pages.
CREATE TABLE op (
  target INTEGER NOT NULL,
  op_id TEXT NOT NULL,
  user TEXT NOT NULL,
  emoji TEXT NOT NULL,
  action INTEGER NOT NULL,
  held INTEGER NOT NULL,             -- the answer given
  version INTEGER NOT NULL,          -- the answer given; about the time in microseconds
  PRIMARY KEY (op_id, target)
) WITHOUT ROWID;
