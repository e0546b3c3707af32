-- Entries of ledgers, which are their event logs too. Positions of a shard begin at 1 and have no gap.
-- personal data: temporary
CREATE TABLE ledger_entry (
  ledger TEXT NOT NULL,
  shard INTEGER NOT NULL,
  position INTEGER NOT NULL,
  append_id TEXT NOT NULL,
  stamp INTEGER NOT NULL,
  payload BLOB NOT NULL,
  PRIMARY KEY (ledger, shard, position)
);

-- Written once for each ledger: a file with other numbers of shards, or another incarnation, is another ledger.
-- personal data: none
CREATE TABLE ledger_meta (
  ledger TEXT PRIMARY KEY,
  shards INTEGER NOT NULL,
  incarnation TEXT NOT NULL
) WITHOUT ROWID;
