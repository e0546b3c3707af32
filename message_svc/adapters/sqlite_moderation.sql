-- Reports of messages, and the acts of admins and moderators. Ids are in the order of time.

-- personal data: evidence; exported as ExportedReport
CREATE TABLE report (
  tenant TEXT NOT NULL,
  report_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  seq INTEGER NOT NULL,              -- the number of the message
  reporter TEXT NOT NULL,            -- '': an erased person, whose comment is '', too
  sender TEXT NOT NULL,
  reason INTEGER NOT NULL,
  comment TEXT NOT NULL,
  content TEXT NOT NULL,             -- the message as it was when it was reported
  content_type TEXT NOT NULL,
  send_ms INTEGER NOT NULL,
  time_ms INTEGER NOT NULL,
  status INTEGER NOT NULL DEFAULT 1, -- 1 open, 2 upheld, 3 dismissed
  resolver TEXT NOT NULL DEFAULT '',
  note TEXT NOT NULL DEFAULT '',
  resolve_ms INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant, report_id)
) WITHOUT ROWID;

CREATE INDEX report_status ON report (tenant, status, report_id);
CREATE INDEX report_reporter ON report (tenant, reporter, report_id);

-- personal data: evidence
CREATE TABLE audit_record (
  tenant TEXT NOT NULL,
  audit_id TEXT NOT NULL,
  conversation_id TEXT NOT NULL,
  action INTEGER NOT NULL,
  actor TEXT NOT NULL,
  capacity INTEGER NOT NULL,         -- 1 admin, 2 moderator
  time_ms INTEGER NOT NULL,
  seq INTEGER NOT NULL,              -- the number of a message; 0: none
  user TEXT NOT NULL,                -- whom it concerns
  role INTEGER NOT NULL,
  report_id TEXT NOT NULL,
  report_status INTEGER NOT NULL,
  reason TEXT NOT NULL,
  PRIMARY KEY (tenant, audit_id)
) WITHOUT ROWID;
