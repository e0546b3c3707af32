-- Conversations, their members, their numbered items, and the operations that were answered.

-- personal data: ids
CREATE TABLE conversation (
  id INTEGER PRIMARY KEY,
  tenant TEXT NOT NULL,
  name TEXT NOT NULL,                -- the id that clients see
  kind INTEGER NOT NULL,
  title TEXT NOT NULL,
  avatar_url TEXT NOT NULL,
  creator TEXT NOT NULL,
  create_ms INTEGER NOT NULL,
  update_ms INTEGER NOT NULL,
  last_seq INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,          -- messages so far, with deleted ones
  last_message_seq INTEGER NOT NULL,
  members INTEGER NOT NULL,
  admins INTEGER NOT NULL,
  members_epoch INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  epoch_seq INTEGER NOT NULL,
  visible_from INTEGER NOT NULL,
  retention_seconds INTEGER NOT NULL DEFAULT 0,
  hidden_ordinal INTEGER NOT NULL DEFAULT 0,   -- messages up to the last item below visible_from
  purged_before INTEGER NOT NULL DEFAULT 0,    -- items below it are removed
  retention_due_ms INTEGER NOT NULL DEFAULT 0, -- when retention has something to do; 0: never, as it is now
  home_region TEXT NOT NULL,
  stamp INTEGER NOT NULL,            -- of its last entry
  highest TEXT NOT NULL,             -- the largest operation id used on it that tells its time
  ahead TEXT NOT NULL,               -- larger ones from the future, separated by spaces
  pinned_messages TEXT NOT NULL DEFAULT '', -- JSON: [[message, pin], …]; '' where there is none
  close_ms INTEGER NOT NULL DEFAULT 0, -- when a moderator closed it
  UNIQUE (tenant, name)
);

CREATE INDEX conversation_retention_due ON conversation (retention_due_ms) WHERE retention_due_ms > 0;

-- A former member stays as a row with the role 0, until it is erased.
-- personal data: contents; exported as ExportedMembership
CREATE TABLE member (
  conversation INTEGER NOT NULL,
  user TEXT NOT NULL,
  role INTEGER NOT NULL,
  joined_seq INTEGER NOT NULL,
  spans TEXT NOT NULL,               -- JSON: [[first, last], …] of visible items; last 0: no end
  read_seq INTEGER NOT NULL,
  read_ordinal INTEGER NOT NULL,
  shown_read_seq INTEGER NOT NULL,
  delivered_seq INTEGER NOT NULL,
  devices TEXT NOT NULL,             -- JSON: [[device, seq], …]
  mute_until_ms INTEGER NOT NULL,
  pinned INTEGER NOT NULL,
  archived_seq INTEGER NOT NULL DEFAULT 0, -- the last item when the user archived the conversation
  marked_unread INTEGER NOT NULL DEFAULT 0,
  draft_ms INTEGER NOT NULL DEFAULT 0, -- when the user last set its draft; 0: there is none
  PRIMARY KEY (conversation, user)
) WITHOUT ROWID;

CREATE INDEX member_user ON member (user) WHERE role > 0;
CREATE INDEX member_former ON member (user) WHERE role = 0;

-- Items of a conversation stand together, in order: a page of history is one range. An edit replaces the body in the row
-- of its message, and a deletion clears it; both are also rows of their own.
-- personal data: contents; exported as Message
CREATE TABLE item (
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  type INTEGER NOT NULL,
  actor TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  subject INTEGER NOT NULL,
  content TEXT NOT NULL,
  content_type TEXT NOT NULL,
  client_msg_id TEXT NOT NULL,
  reply_to INTEGER NOT NULL,
  mentions TEXT NOT NULL,            -- JSON; "" where there is none
  metadata TEXT NOT NULL,            -- JSON; "" where there is none
  forwards INTEGER NOT NULL DEFAULT 0, -- how often the message was forwarded
  detail TEXT NOT NULL,              -- JSON of a change of members or of the conversation: [users, role, name, avatar_url, retention_seconds]
  origin_region TEXT NOT NULL,
  edit_ms INTEGER NOT NULL DEFAULT 0,
  delete_ms INTEGER NOT NULL DEFAULT 0,
  deleted_by INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (conversation, seq)
) WITHOUT ROWID;

CREATE INDEX item_deleted ON item (conversation, seq) WHERE delete_ms > 0;
-- Creations and updates: they have the name of the conversation.
CREATE INDEX item_named ON item (conversation, seq) WHERE type IN (1, 9);

-- personal data: ids
CREATE TABLE operation (
  conversation INTEGER NOT NULL,
  user TEXT NOT NULL,
  op_id TEXT NOT NULL,
  digest BLOB NOT NULL,
  seq INTEGER NOT NULL,              -- of its item; 0: it changed nothing
  time_ms INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  reason TEXT NOT NULL,              -- why it was refused; '' where it was not
  PRIMARY KEY (conversation, user, op_id)
) WITHOUT ROWID;

-- What users have written and not sent, by user.
-- personal data: erased; exported as ExportedMembership
CREATE TABLE draft (
  user TEXT NOT NULL,
  conversation INTEGER NOT NULL,
  content TEXT NOT NULL,
  time_ms INTEGER NOT NULL,
  PRIMARY KEY (user, conversation)
) WITHOUT ROWID;
