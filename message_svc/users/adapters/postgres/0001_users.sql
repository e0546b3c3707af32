-- Users and their relations. A user has a row from its first call on. Ids and usernames are compared byte by byte.

-- personal data: erased; exported as User, Preferences
CREATE TABLE users (
  tenant text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  username text COLLATE "C" NOT NULL DEFAULT '',
  display_name text NOT NULL DEFAULT '',
  phone text COLLATE "C" NOT NULL DEFAULT '',
  avatar_url text NOT NULL DEFAULT '',
  locale text NOT NULL DEFAULT '',
  time_zone text NOT NULL DEFAULT '',
  create_ms bigint NOT NULL,
  who_may_write smallint NOT NULL DEFAULT 1,
  who_may_add smallint NOT NULL DEFAULT 1,
  last_seen smallint NOT NULL DEFAULT 1,
  phone_lookup boolean NOT NULL DEFAULT true,
  read_receipts boolean NOT NULL DEFAULT true,
  PRIMARY KEY (tenant, user_id)
);

CREATE UNIQUE INDEX users_username ON users (tenant, username) WHERE username <> '';
CREATE UNIQUE INDEX users_phone ON users (tenant, phone) WHERE phone <> '';

-- personal data: erased; exported as Contact
CREATE TABLE contacts (
  tenant text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  other_id text COLLATE "C" NOT NULL,  -- is among the contacts of the user
  create_ms bigint NOT NULL,
  PRIMARY KEY (tenant, user_id, other_id)
);

CREATE INDEX contacts_other ON contacts (tenant, other_id);

-- personal data: erased; exported as BlockedUser
CREATE TABLE blocks (
  tenant text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  other_id text COLLATE "C" NOT NULL,  -- is blocked by the user
  create_ms bigint NOT NULL,
  PRIMARY KEY (tenant, user_id, other_id)
);

CREATE INDEX blocks_other ON blocks (tenant, other_id);
