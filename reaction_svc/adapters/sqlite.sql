-- Records of reactions, the answers given to operations, and what is known of each target.

-- personal data: none
CREATE TABLE target (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  counts TEXT NOT NULL,              -- JSON: people per emoji, without zeros
  stamp INTEGER NOT NULL DEFAULT 0,  -- of its last entry
  highest TEXT NOT NULL DEFAULT '',  -- the largest operation id used on it that tells its time
  ahead TEXT NOT NULL DEFAULT '',    -- larger ones from the future, separated by spaces
  UNIQUE (tenant, name)
);

-- A reaction taken back stays as a row with held = 0.
-- personal data: erased; exported as ExportedReactions
CREATE TABLE record (
  target INTEGER NOT NULL,
  user TEXT NOT NULL,
  emoji TEXT NOT NULL,
  held INTEGER NOT NULL,
  version INTEGER NOT NULL,          -- of the last change
  PRIMARY KEY (target, user, emoji)
) WITHOUT ROWID;

CREATE INDEX record_held ON record (target, emoji, version) WHERE held;
CREATE INDEX record_user ON record (user);

-- Answers of one entry, packed; see `location_of`. Slices grow with the time, so old answers stand together.
-- personal data: temporary
CREATE TABLE answer (
  slice INTEGER NOT NULL,
  part INTEGER NOT NULL,
  stamp INTEGER NOT NULL,
  rows BLOB NOT NULL,                -- MessagePack
  PRIMARY KEY (slice, part, stamp)
) WITHOUT ROWID;

CREATE INDEX answer_untimed ON answer (stamp) WHERE slice < 0;
