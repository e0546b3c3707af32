-- When operations that changed nothing were made: their answer's version is older than they are.

CREATE TABLE op_late (
  target INTEGER NOT NULL,
  op_id TEXT NOT NULL,
  made INTEGER NOT NULL,             -- microseconds since 1970
  PRIMARY KEY (op_id, target)
) WITHOUT ROWID;
