-- name: find_targets
WITH ask (tenant, name) AS (VALUES :rows)
SELECT target.id, target.tenant, target.name, target.version, target.counts, target.stamp, target.highest, target.ahead
FROM ask CROSS JOIN target ON target.tenant = ask.tenant AND target.name = ask.name

-- name: find_ids
WITH ask (tenant, name) AS (VALUES :rows)
SELECT target.tenant, target.name, target.id
FROM ask CROSS JOIN target ON target.tenant = ask.tenant AND target.name = ask.name

-- name: find_held
WITH ask (tenant, name, user) AS (VALUES :rows)
SELECT ask.tenant, ask.name, record.user, record.emoji, record.version
FROM ask CROSS JOIN target ON target.tenant = ask.tenant AND target.name = ask.name
CROSS JOIN record ON record.target = target.id AND record.user = ask.user
WHERE record.held

-- name: find_answers
WITH ask (slice, part) AS (VALUES :rows)
SELECT answer.rows FROM ask CROSS JOIN answer ON answer.slice = ask.slice AND answer.part = ask.part

-- name: records
SELECT user, emoji, version FROM record INDEXED BY record_held WHERE target = ? AND held LIMIT ?

-- name: save_targets
INSERT INTO target (id, tenant, name, version, counts, stamp, highest, ahead) VALUES :rows
ON CONFLICT (id) DO UPDATE SET version = excluded.version, counts = excluded.counts, stamp = excluded.stamp,
  highest = excluded.highest, ahead = excluded.ahead

-- name: save_records
INSERT INTO record (target, user, emoji, held, version) VALUES :rows
ON CONFLICT (target, user, emoji) DO UPDATE SET held = excluded.held, version = excluded.version

-- name: erase_user
DELETE FROM record WHERE target = ? AND user = ?

-- name: erase_all
DELETE FROM record WHERE target = ?

-- name: targets_of
SELECT target.name, sum(record.held)
FROM record INDEXED BY record_user CROSS JOIN target ON target.id = record.target AND target.tenant = ?
WHERE record.user = ?
GROUP BY record.target LIMIT ?

-- name: all_own
SELECT record.target, target.name, record.emoji, record.version
FROM record INDEXED BY record_user CROSS JOIN target ON target.id = record.target AND target.tenant = ?
WHERE record.user = ? AND record.target > ? AND record.held
ORDER BY record.target LIMIT ?

-- name: holders
SELECT user, sum(held) FROM record WHERE target = ? AND user > ? GROUP BY user HAVING sum(held) LIMIT ?

-- name: save_answers
INSERT OR REPLACE INTO answer (slice, part, stamp, rows) VALUES :rows

-- name: own
WITH ask (tenant, name, user) AS (VALUES :rows)
SELECT target.name, target.version, record.emoji, record.version
FROM ask CROSS JOIN target ON target.tenant = ask.tenant AND target.name = ask.name
LEFT JOIN record ON record.target = target.id AND record.user = ask.user AND record.held

-- name: find_target
SELECT id, counts FROM target WHERE tenant = ? AND name = ?

-- name: reactors
SELECT user, emoji, version FROM record INDEXED BY record_held
WHERE target = ? AND emoji = ? AND held AND version < ?
ORDER BY version DESC LIMIT ?

-- name: tally
SELECT target.id, target.tenant, target.name, target.version, record.emoji, count(record.emoji)
FROM target LEFT JOIN record INDEXED BY record_held ON record.target = target.id AND record.held
WHERE target.tenant = ? AND target.name = ?
GROUP BY target.id, record.emoji

-- name: tally_all
WITH page AS (SELECT id, tenant, name, version FROM target WHERE id > ? ORDER BY id LIMIT ?)
SELECT page.id, page.tenant, page.name, page.version, record.emoji, count(record.emoji)
FROM page LEFT JOIN record INDEXED BY record_held ON record.target = page.id AND record.held
GROUP BY page.id, record.emoji

-- name: delete_timed
DELETE FROM answer WHERE (slice, part, stamp) IN (SELECT slice, part, stamp FROM answer WHERE slice >= 0 AND slice < ? LIMIT ?)

-- name: delete_untimed
DELETE FROM answer WHERE (slice, part, stamp) IN
  (SELECT slice, part, stamp FROM answer INDEXED BY answer_untimed WHERE slice < 0 AND stamp < ? LIMIT ?)
