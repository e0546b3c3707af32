-- The event log. Positions are never used again, not even after a trim (AUTOINCREMENT).
-- personal data: temporary
CREATE TABLE event_log (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  payload BLOB NOT NULL
);
CREATE INDEX event_log_topic ON event_log (topic, position);
