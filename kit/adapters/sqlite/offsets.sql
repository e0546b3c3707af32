-- The committed positions of the readers of topics, which may be in other files.
-- personal data: none
CREATE TABLE consumer_offset (
  consumer TEXT NOT NULL,
  topic TEXT NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (consumer, topic)
) WITHOUT ROWID;
