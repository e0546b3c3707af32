-- name: enter
INSERT INTO user (tenant, user, create_ms) VALUES (?, ?, ?) ON CONFLICT (tenant, user) DO NOTHING

-- name: blocked_with
SELECT other FROM block WHERE tenant = ?1 AND user = ?2
UNION SELECT user FROM block WHERE tenant = ?1 AND other = ?2

-- name: find
WITH ask (tenant, user) AS (VALUES :rows)
SELECT user.user, username, display_name, phone, avatar_url, locale, time_zone, create_ms
FROM ask CROSS JOIN user ON user.tenant = ask.tenant AND user.user = ask.user

-- name: update
UPDATE user SET username = coalesce(?3, username), display_name = coalesce(?4, display_name),
  phone = coalesce(?5, phone), avatar_url = coalesce(?6, avatar_url), locale = coalesce(?7, locale),
  time_zone = coalesce(?8, time_zone)
WHERE tenant = ?1 AND user = ?2
RETURNING user, username, display_name, phone, avatar_url, locale, time_zone, create_ms

-- name: holder_of_username
SELECT user FROM user WHERE tenant = ? AND username = ? AND username <> '' AND user <> ?

-- name: search
SELECT user, username, display_name, phone, avatar_url, locale, time_zone, create_ms
FROM user WHERE tenant = ?1 AND username >= ?2 AND username > ?3 AND username < ?4 AND username <> ''
ORDER BY username LIMIT ?5

-- name: find_by_phone
SELECT user, username, display_name, phone, avatar_url, locale, time_zone, create_ms
FROM user WHERE tenant = ? AND phone = ? AND phone <> '' AND phone_lookup

-- name: preferences
SELECT who_may_write, who_may_add, last_seen, phone_lookup, read_receipts FROM user WHERE tenant = ? AND user = ?

-- name: set_preferences
UPDATE user SET who_may_write = coalesce(?3, who_may_write), who_may_add = coalesce(?4, who_may_add),
  last_seen = coalesce(?5, last_seen), phone_lookup = coalesce(?6, phone_lookup),
  read_receipts = coalesce(?7, read_receipts)
WHERE tenant = ?1 AND user = ?2
RETURNING who_may_write, who_may_add, last_seen, phone_lookup, read_receipts

-- name: relations
WITH ask (tenant, me, other) AS (VALUES :rows)
SELECT ask.other, user.who_may_write, user.who_may_add, user.last_seen, user.phone_lookup, user.read_receipts,
  EXISTS (SELECT 1 FROM contact WHERE tenant = ask.tenant AND user = ask.other AND other = ask.me),
  EXISTS (SELECT 1 FROM block WHERE tenant = ask.tenant AND user = ask.other AND other = ask.me)
  OR EXISTS (SELECT 1 FROM block WHERE tenant = ask.tenant AND user = ask.me AND other = ask.other)
FROM ask LEFT JOIN user ON user.tenant = ask.tenant AND user.user = ask.other

-- name: find_contact
SELECT other, create_ms FROM contact WHERE tenant = ? AND user = ? AND other = ?

-- name: count_contact
SELECT count(*) FROM contact WHERE tenant = ? AND user = ?

-- name: add_contact
INSERT INTO contact (tenant, user, other, create_ms) VALUES (?, ?, ?, ?)

-- name: remove_contact
DELETE FROM contact WHERE tenant = ? AND user = ? AND other = ?

-- name: list_contact
SELECT other, create_ms FROM contact WHERE tenant = ? AND user = ? AND other > ? ORDER BY other LIMIT ?

-- name: find_block
SELECT other, create_ms FROM block WHERE tenant = ? AND user = ? AND other = ?

-- name: count_block
SELECT count(*) FROM block WHERE tenant = ? AND user = ?

-- name: add_block
INSERT INTO block (tenant, user, other, create_ms) VALUES (?, ?, ?, ?)

-- name: remove_block
DELETE FROM block WHERE tenant = ? AND user = ? AND other = ?

-- name: list_block
SELECT other, create_ms FROM block WHERE tenant = ? AND user = ? AND other > ? ORDER BY other LIMIT ?

-- name: erase_user
DELETE FROM user WHERE tenant = ? AND user = ? RETURNING 1

-- name: erase_contacts
DELETE FROM contact WHERE tenant = ? AND user = ? RETURNING 1

-- name: erase_blocks
DELETE FROM block WHERE tenant = ? AND user = ? RETURNING 1

-- name: add_erasure
INSERT INTO erasure (tenant, user, work_ms) VALUES (?, ?, ?) ON CONFLICT (tenant, user) DO NOTHING

-- name: claim_erasures
UPDATE erasure SET work_ms = ?2
WHERE (tenant, user) IN (SELECT tenant, user FROM erasure WHERE work_ms < ?1 ORDER BY work_ms LIMIT ?3)
RETURNING tenant, user, erased

-- name: record_erasure
UPDATE erasure SET work_ms = ?3, erased = ?4 WHERE tenant = ?1 AND user = ?2

-- name: remove_erasure
DELETE FROM erasure WHERE tenant = ? AND user = ?
