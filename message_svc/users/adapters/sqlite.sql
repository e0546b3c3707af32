-- Users and their relations. A user has a row from its first call on.

-- personal data: erased; exported as User, Preferences
CREATE TABLE user (
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  username TEXT NOT NULL DEFAULT '',
  display_name TEXT NOT NULL DEFAULT '',
  phone TEXT NOT NULL DEFAULT '',
  avatar_url TEXT NOT NULL DEFAULT '',
  locale TEXT NOT NULL DEFAULT '',
  time_zone TEXT NOT NULL DEFAULT '',
  create_ms INTEGER NOT NULL,
  who_may_write INTEGER NOT NULL DEFAULT 1,
  who_may_add INTEGER NOT NULL DEFAULT 1,
  last_seen INTEGER NOT NULL DEFAULT 1,
  phone_lookup INTEGER NOT NULL DEFAULT 1,
  read_receipts INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY (tenant, user)
) WITHOUT ROWID;

CREATE UNIQUE INDEX user_username ON user (tenant, username) WHERE username <> '';
CREATE UNIQUE INDEX user_phone ON user (tenant, phone) WHERE phone <> '';

-- personal data: erased; exported as Contact
CREATE TABLE contact (
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  other TEXT NOT NULL,               -- is among the contacts of the user
  create_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, user, other)
) WITHOUT ROWID;

CREATE INDEX contact_other ON contact (tenant, other);

-- personal data: erased; exported as BlockedUser
CREATE TABLE block (
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  other TEXT NOT NULL,               -- is blocked by the user
  create_ms INTEGER NOT NULL,
  PRIMARY KEY (tenant, user, other)
) WITHOUT ROWID;

CREATE INDEX block_other ON block (tenant, other);

-- Erasures of users that are not done.
-- personal data: temporary
CREATE TABLE erasure (
  tenant TEXT NOT NULL,
  user TEXT NOT NULL,
  work_ms INTEGER NOT NULL,          -- when a process last worked on it
  erased INTEGER NOT NULL DEFAULT 0, -- how much was deleted so far
  PRIMARY KEY (tenant, user)
) WITHOUT ROWID;
