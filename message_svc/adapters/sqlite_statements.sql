-- name: find_conversations
WITH ask (tenant, name) AS (VALUES :rows)
SELECT conversation.id, conversation.tenant, conversation.name, conversation.kind, conversation.title,
  conversation.avatar_url, conversation.creator, conversation.create_ms, conversation.update_ms, conversation.last_seq,
  conversation.ordinal, conversation.last_message_seq, conversation.members, conversation.admins,
  conversation.members_epoch, conversation.epoch, conversation.epoch_seq, conversation.visible_from,
  conversation.retention_seconds, conversation.hidden_ordinal, conversation.purged_before,
  conversation.retention_due_ms, conversation.home_region, conversation.stamp, conversation.highest, conversation.ahead,
  conversation.pinned_messages, conversation.close_ms
FROM ask CROSS JOIN conversation ON conversation.tenant = ask.tenant AND conversation.name = ask.name

-- name: find_ids
WITH ask (tenant, name) AS (VALUES :rows)
SELECT conversation.tenant, conversation.name, conversation.id
FROM ask CROSS JOIN conversation ON conversation.tenant = ask.tenant AND conversation.name = ask.name

-- name: find_members
WITH ask (tenant, name, user) AS (VALUES :rows)
SELECT ask.tenant, ask.name, member.user, member.role, member.joined_seq, member.spans, member.read_seq,
  member.read_ordinal, member.shown_read_seq, member.delivered_seq, member.devices, member.mute_until_ms, member.pinned,
  member.archived_seq, member.marked_unread, member.draft_ms
FROM ask CROSS JOIN conversation ON conversation.tenant = ask.tenant AND conversation.name = ask.name
CROSS JOIN member ON member.conversation = conversation.id AND member.user = ask.user

-- name: find_facts
WITH ask (tenant, name, seq) AS (VALUES :rows)
SELECT ask.tenant, ask.name, item.seq, item.type, item.actor, item.ordinal, item.delete_ms > 0
FROM ask CROSS JOIN conversation ON conversation.tenant = ask.tenant AND conversation.name = ask.name
CROSS JOIN item ON item.conversation = conversation.id AND item.seq = ask.seq

-- name: find_operations
WITH ask (tenant, name, user, op_id) AS (VALUES :rows)
SELECT ask.tenant, ask.name, operation.user, operation.op_id, operation.digest, operation.seq, operation.time_ms,
  operation.ordinal, operation.reason
FROM ask CROSS JOIN conversation ON conversation.tenant = ask.tenant AND conversation.name = ask.name
CROSS JOIN operation ON operation.conversation = conversation.id AND operation.user = ask.user
  AND operation.op_id = ask.op_id

-- name: members
SELECT user, role, joined_seq, spans, read_seq, read_ordinal, shown_read_seq, delivered_seq, devices, mute_until_ms,
  pinned, archived_seq, marked_unread, draft_ms
FROM member WHERE conversation = ? AND role > 0 AND user > ? ORDER BY user LIMIT ?

-- name: all_members
SELECT user, role, joined_seq, spans, read_seq, read_ordinal, shown_read_seq, delivered_seq, devices, mute_until_ms,
  pinned, archived_seq, marked_unread, draft_ms
FROM member WHERE conversation = ?

-- name: senders
SELECT actor, max(seq) FROM item WHERE conversation = ? AND seq > ? AND type = 2 GROUP BY actor ORDER BY 2 DESC LIMIT ?

-- name: save_conversations
INSERT INTO conversation (tenant, name, kind, title, avatar_url, creator, create_ms, update_ms, last_seq, ordinal,
  last_message_seq, members, admins, members_epoch, epoch, epoch_seq, visible_from, retention_seconds, hidden_ordinal,
  purged_before, retention_due_ms, home_region, stamp, highest, ahead,
  pinned_messages, close_ms)
VALUES :rows
ON CONFLICT (tenant, name) DO UPDATE SET kind = excluded.kind, title = excluded.title,
  avatar_url = excluded.avatar_url, update_ms = excluded.update_ms, last_seq = excluded.last_seq,
  ordinal = excluded.ordinal, last_message_seq = excluded.last_message_seq, members = excluded.members,
  admins = excluded.admins, members_epoch = excluded.members_epoch, epoch = excluded.epoch,
  epoch_seq = excluded.epoch_seq, visible_from = excluded.visible_from,
  retention_seconds = excluded.retention_seconds, hidden_ordinal = excluded.hidden_ordinal,
  purged_before = excluded.purged_before, retention_due_ms = excluded.retention_due_ms, stamp = excluded.stamp,
  highest = excluded.highest, ahead = excluded.ahead, pinned_messages = excluded.pinned_messages,
  close_ms = excluded.close_ms

-- name: save_members
INSERT INTO member (conversation, user, role, joined_seq, spans, read_seq, read_ordinal, shown_read_seq, delivered_seq,
  devices, mute_until_ms, pinned, archived_seq, marked_unread, draft_ms)
VALUES :rows
ON CONFLICT (conversation, user) DO UPDATE SET role = excluded.role, joined_seq = excluded.joined_seq,
  spans = excluded.spans, read_seq = excluded.read_seq, read_ordinal = excluded.read_ordinal,
  shown_read_seq = excluded.shown_read_seq, delivered_seq = excluded.delivered_seq, devices = excluded.devices,
  mute_until_ms = excluded.mute_until_ms, pinned = excluded.pinned, archived_seq = excluded.archived_seq,
  marked_unread = excluded.marked_unread, draft_ms = excluded.draft_ms

-- name: delete_members
DELETE FROM member WHERE (conversation, user) IN (VALUES :rows)

-- name: save_items
INSERT INTO item (conversation, seq, type, actor, time_ms, ordinal, subject, content, content_type, client_msg_id,
  reply_to, mentions, metadata, forwards, detail, origin_region)
VALUES :rows
ON CONFLICT (conversation, seq) DO NOTHING

-- name: save_operations
INSERT INTO operation (conversation, user, op_id, digest, seq, time_ms, ordinal, reason) VALUES :rows
ON CONFLICT (conversation, user, op_id) DO NOTHING

-- name: save_drafts
INSERT INTO draft (user, conversation, content, time_ms) VALUES :rows
ON CONFLICT (user, conversation) DO UPDATE SET content = excluded.content, time_ms = excluded.time_ms

-- name: delete_drafts
DELETE FROM draft WHERE (user, conversation) IN (VALUES :rows)

-- name: find_drafts
WITH ask (user, conversation) AS (VALUES :rows)
SELECT ask.conversation, draft.content
FROM ask CROSS JOIN draft ON draft.user = ask.user AND draft.conversation = ask.conversation

-- name: edit
UPDATE item SET content = ?, mentions = ?, metadata = ?, edit_ms = ? WHERE conversation = ? AND seq = ?

-- name: delete
UPDATE item SET content = '', mentions = '', metadata = '', delete_ms = ?, deleted_by = ? WHERE conversation = ? AND seq = ?

-- name: find_conversation
SELECT id, tenant, name, kind, title, avatar_url, creator, create_ms, update_ms, last_seq, ordinal, last_message_seq,
  members, admins, members_epoch, epoch, epoch_seq, visible_from, retention_seconds, hidden_ordinal,
  purged_before, retention_due_ms, home_region, stamp, highest, ahead,
  pinned_messages, close_ms
FROM conversation WHERE tenant = ? AND name = ?

-- name: find_member
SELECT user, role, joined_seq, spans, read_seq, read_ordinal, shown_read_seq, delivered_seq, devices, mute_until_ms,
  pinned, archived_seq, marked_unread, draft_ms
FROM member WHERE conversation = ? AND user = ?

-- name: conversations_of
SELECT conversation.id, conversation.tenant, conversation.name, conversation.kind, conversation.title,
  conversation.avatar_url, conversation.creator, conversation.create_ms, conversation.update_ms, conversation.last_seq,
  conversation.ordinal, conversation.last_message_seq, conversation.members, conversation.admins,
  conversation.members_epoch, conversation.epoch, conversation.epoch_seq, conversation.visible_from,
  conversation.retention_seconds, conversation.hidden_ordinal, conversation.purged_before,
  conversation.retention_due_ms, conversation.home_region, conversation.stamp, conversation.highest, conversation.ahead,
  conversation.pinned_messages, conversation.close_ms, member.user, member.role, member.joined_seq, member.spans, member.read_seq, member.read_ordinal,
  member.shown_read_seq, member.delivered_seq, member.devices, member.mute_until_ms, member.pinned,
  member.archived_seq, member.marked_unread, member.draft_ms
FROM member INDEXED BY member_user
CROSS JOIN conversation ON conversation.id = member.conversation AND conversation.tenant = ?1
  AND conversation.close_ms = 0
WHERE member.user = ?2 AND member.role > 0
  AND (member.archived_seq > 0 AND (conversation.last_message_seq <= member.archived_seq
    OR conversation.update_ms < member.mute_until_ms)) = ?7
  AND (member.pinned, conversation.update_ms, conversation.id) < (?3, ?4, ?5)
ORDER BY member.pinned DESC, conversation.update_ms DESC, conversation.id DESC LIMIT ?6

-- name: inbox
SELECT conversation.id, conversation.tenant, conversation.name, conversation.kind, conversation.title,
  conversation.avatar_url, conversation.creator, conversation.create_ms, conversation.update_ms, conversation.last_seq,
  conversation.ordinal, conversation.last_message_seq, conversation.members, conversation.admins,
  conversation.members_epoch, conversation.epoch, conversation.epoch_seq, conversation.visible_from,
  conversation.retention_seconds, conversation.hidden_ordinal, conversation.purged_before,
  conversation.retention_due_ms, conversation.home_region, conversation.stamp, conversation.highest, conversation.ahead,
  conversation.pinned_messages, conversation.close_ms, member.user, member.role, member.joined_seq, member.spans, member.read_seq, member.read_ordinal,
  member.shown_read_seq, member.delivered_seq, member.devices, member.mute_until_ms, member.pinned,
  member.archived_seq, member.marked_unread, member.draft_ms
FROM member INDEXED BY member_user
CROSS JOIN conversation ON conversation.id = member.conversation AND conversation.tenant = ?1
  AND conversation.close_ms = 0
WHERE member.user = ?2 AND member.role > 0 AND member.conversation > ?3
ORDER BY member.conversation LIMIT ?4

-- name: former_conversations
SELECT conversation.id, conversation.name
FROM member INDEXED BY member_former
CROSS JOIN conversation ON conversation.id = member.conversation AND conversation.tenant = ?1
WHERE member.user = ?2 AND member.role = 0 AND member.conversation > ?3
ORDER BY member.conversation LIMIT ?4

-- name: deleted_after
SELECT count(*) FROM item INDEXED BY item_deleted WHERE conversation = ? AND seq > ? AND delete_ms > 0

-- name: peer
SELECT user FROM member WHERE conversation = ? AND user <> ? LIMIT 1

-- name: name_at
SELECT detail FROM item INDEXED BY item_named WHERE conversation = ? AND seq <= ? AND type IN (1, 9)
ORDER BY seq DESC LIMIT 1

-- name: messages_before
SELECT seq, type, actor, time_ms, ordinal, subject, content, content_type, client_msg_id, reply_to, mentions, metadata,
  forwards, detail, origin_region, edit_ms, delete_ms, deleted_by
FROM item WHERE conversation = ? AND seq BETWEEN ? AND ? AND type = 2 ORDER BY seq DESC LIMIT ?

-- name: messages_after
SELECT seq, type, actor, time_ms, ordinal, subject, content, content_type, client_msg_id, reply_to, mentions, metadata,
  forwards, detail, origin_region, edit_ms, delete_ms, deleted_by
FROM item WHERE conversation = ? AND seq BETWEEN ? AND ? AND type = 2 ORDER BY seq LIMIT ?

-- name: items_after
SELECT seq, type, actor, time_ms, ordinal, subject, content, content_type, client_msg_id, reply_to, mentions, metadata,
  forwards, detail, origin_region, edit_ms, delete_ms, deleted_by
FROM item WHERE conversation = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?

-- name: messages_by
SELECT seq FROM item
WHERE conversation = ? AND seq BETWEEN ? AND ? AND type = 2 AND actor = ? AND delete_ms = 0 ORDER BY seq LIMIT ?

-- name: find_items
WITH ask (conversation, seq) AS (VALUES :rows)
SELECT ask.conversation, item.seq, item.type, item.actor, item.time_ms, item.ordinal, item.subject, item.content,
  item.content_type, item.client_msg_id, item.reply_to, item.mentions, item.metadata, item.forwards, item.detail,
  item.origin_region, item.edit_ms, item.delete_ms, item.deleted_by
FROM ask CROSS JOIN item ON item.conversation = ask.conversation AND item.seq = ask.seq

-- name: retention_due
SELECT id, tenant, name, kind, title, avatar_url, creator, create_ms, update_ms, last_seq, ordinal, last_message_seq,
  members, admins, members_epoch, epoch, epoch_seq, visible_from, retention_seconds, hidden_ordinal,
  purged_before, retention_due_ms, home_region, stamp, highest, ahead,
  pinned_messages, close_ms
FROM conversation INDEXED BY conversation_retention_due
WHERE retention_due_ms > 0 AND retention_due_ms <= ?1 AND (retention_due_ms, id) > (?2, ?3)
ORDER BY retention_due_ms, id LIMIT ?4

-- name: item_time
SELECT time_ms FROM item WHERE conversation = ? AND seq = ?

-- name: purge
DELETE FROM item WHERE conversation = ? AND seq BETWEEN ? AND ? AND type NOT IN (1, 9)
