-- The tables that bare sqlite3 writes: a row for each record, operation and batch of events.
CREATE TABLE target (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  counts TEXT NOT NULL,
  UNIQUE (tenant, name)
);
CREATE TABLE record (
  target INTEGER NOT NULL,
  user TEXT NOT NULL,
  emoji TEXT NOT NULL,
  held INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (target, user, emoji)
) WITHOUT ROWID;
CREATE INDEX record_held ON record (target, emoji, version) WHERE held;
CREATE TABLE op (
  target INTEGER NOT NULL,
  op_id TEXT NOT NULL,
  user TEXT NOT NULL,
  emoji TEXT NOT NULL,
  action INTEGER NOT NULL,
  held INTEGER NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (op_id, target)
) WITHOUT ROWID;
CREATE TABLE event_log (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  payload BLOB NOT NULL
);
CREATE INDEX event_log_topic ON event_log (topic, position);
