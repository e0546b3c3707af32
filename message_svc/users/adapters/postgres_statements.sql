-- name: enter
INSERT INTO users (tenant, user_id, create_ms) VALUES ($1, $2, $3) ON CONFLICT (tenant, user_id) DO NOTHING

-- name: standing
SELECT who_may_write, who_may_add, last_seen, phone_lookup, read_receipts,
  ARRAY(
    SELECT other_id FROM blocks WHERE tenant = $1 AND user_id = $2
    UNION SELECT user_id FROM blocks WHERE tenant = $1 AND other_id = $2
  )
FROM users WHERE tenant = $1 AND user_id = $2

-- name: find
SELECT user_id, username, display_name, phone, avatar_url, locale, time_zone, create_ms
FROM users WHERE tenant = $1 AND user_id = ANY($2::text[])

-- name: update
UPDATE users SET username = coalesce($3, username), display_name = coalesce($4, display_name),
  phone = coalesce($5, phone), avatar_url = coalesce($6, avatar_url), locale = coalesce($7, locale),
  time_zone = coalesce($8, time_zone)
WHERE tenant = $1 AND user_id = $2
RETURNING user_id, username, display_name, phone, avatar_url, locale, time_zone, create_ms

-- name: search
SELECT user_id, username, display_name, phone, avatar_url, locale, time_zone, create_ms
FROM users WHERE tenant = $1 AND username >= $2 AND username > $3 AND username < $4 AND username <> ''
ORDER BY username LIMIT $5

-- name: find_by_phone
SELECT user_id, username, display_name, phone, avatar_url, locale, time_zone, create_ms
FROM users WHERE tenant = $1 AND phone = $2 AND phone <> '' AND phone_lookup

-- name: preferences
SELECT who_may_write, who_may_add, last_seen, phone_lookup, read_receipts FROM users
WHERE tenant = $1 AND user_id = $2

-- name: set_preferences
UPDATE users SET who_may_write = coalesce($3, who_may_write), who_may_add = coalesce($4, who_may_add),
  last_seen = coalesce($5, last_seen), phone_lookup = coalesce($6, phone_lookup),
  read_receipts = coalesce($7, read_receipts)
WHERE tenant = $1 AND user_id = $2
RETURNING who_may_write, who_may_add, last_seen, phone_lookup, read_receipts

-- name: relations
SELECT ask.other_id, who_may_write, who_may_add, last_seen, phone_lookup, read_receipts,
  EXISTS (SELECT 1 FROM contacts WHERE tenant = $1 AND contacts.user_id = ask.other_id AND other_id = $2),
  EXISTS (SELECT 1 FROM blocks WHERE tenant = $1 AND blocks.user_id = ask.other_id AND other_id = $2)
  OR EXISTS (SELECT 1 FROM blocks WHERE tenant = $1 AND blocks.user_id = $2 AND blocks.other_id = ask.other_id)
FROM unnest($3::text[]) AS ask (other_id)
LEFT JOIN users ON users.tenant = $1 AND users.user_id = ask.other_id

-- name: lock_list
SELECT pg_advisory_xact_lock(hashtextextended($1, 0))

-- name: find_contacts
SELECT other_id, create_ms FROM contacts WHERE tenant = $1 AND user_id = $2 AND other_id = $3

-- name: count_contacts
SELECT count(*) FROM contacts WHERE tenant = $1 AND user_id = $2

-- name: add_contacts
INSERT INTO contacts (tenant, user_id, other_id, create_ms) VALUES ($1, $2, $3, $4)

-- name: remove_contacts
DELETE FROM contacts WHERE tenant = $1 AND user_id = $2 AND other_id = $3

-- name: list_contacts
SELECT other_id, create_ms FROM contacts WHERE tenant = $1 AND user_id = $2 AND other_id > $3
ORDER BY other_id LIMIT $4

-- name: find_blocks
SELECT other_id, create_ms FROM blocks WHERE tenant = $1 AND user_id = $2 AND other_id = $3

-- name: count_blocks
SELECT count(*) FROM blocks WHERE tenant = $1 AND user_id = $2

-- name: add_blocks
INSERT INTO blocks (tenant, user_id, other_id, create_ms) VALUES ($1, $2, $3, $4)

-- name: remove_blocks
DELETE FROM blocks WHERE tenant = $1 AND user_id = $2 AND other_id = $3

-- name: list_blocks
SELECT other_id, create_ms FROM blocks WHERE tenant = $1 AND user_id = $2 AND other_id > $3
ORDER BY other_id LIMIT $4

-- name: erase_user
DELETE FROM users WHERE tenant = $1 AND user_id = $2 RETURNING 1

-- name: erase_contacts
DELETE FROM contacts WHERE tenant = $1 AND user_id = $2 RETURNING 1

-- name: erase_blocks
DELETE FROM blocks WHERE tenant = $1 AND user_id = $2 RETURNING 1

-- name: add_erasure
INSERT INTO erasures (tenant, user_id, work_ms) VALUES ($1, $2, $3) ON CONFLICT (tenant, user_id) DO NOTHING

-- name: claim_erasures
UPDATE erasures SET work_ms = $2
FROM (SELECT tenant, user_id FROM erasures WHERE work_ms < $1 ORDER BY work_ms LIMIT $3 FOR UPDATE SKIP LOCKED) AS free
WHERE erasures.tenant = free.tenant AND erasures.user_id = free.user_id
RETURNING erasures.tenant, erasures.user_id, erasures.erased

-- name: record_erasure
UPDATE erasures SET work_ms = $3, erased = $4 WHERE tenant = $1 AND user_id = $2

-- name: remove_erasure
DELETE FROM erasures WHERE tenant = $1 AND user_id = $2
