-- name: find_targets
WITH ask (tenant, name) AS (VALUES :rows)
SELECT target.id, target.tenant, target.name, target.version, target.counts
FROM ask CROSS JOIN target ON target.tenant = ask.tenant AND target.name = ask.name

-- name: find_ops
WITH ask (op_id, target) AS (VALUES :rows)
SELECT op.op_id, op.target, op.user, op.emoji, op.action, op.held, op.version
FROM ask CROSS JOIN op ON op.op_id = ask.op_id AND op.target = ask.target

-- name: find_held
WITH ask (target, user) AS (VALUES :rows)
SELECT record.target, record.user, record.emoji, record.version
FROM ask CROSS JOIN record ON record.target = ask.target AND record.user = ask.user
WHERE record.held

-- name: save_targets
INSERT INTO target (id, tenant, name, version, counts) VALUES :rows
ON CONFLICT (id) DO UPDATE SET version = excluded.version, counts = excluded.counts

-- name: save_records
INSERT INTO record (target, user, emoji, held, version) VALUES :rows
ON CONFLICT (target, user, emoji) DO UPDATE SET held = excluded.held, version = excluded.version

-- name: save_ops
INSERT OR IGNORE INTO op (op_id, target, user, emoji, action, held, version) VALUES :rows

-- name: save_late
INSERT OR IGNORE INTO op_late (op_id, target, made) VALUES :rows

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

-- name: ops_behind
SELECT op_id, target FROM op WHERE (op_id, target) > (?, ?) ORDER BY op_id, target LIMIT 1 OFFSET ?

-- name: forget_ops
-- The last operation of a record has the record's version; a clear has that of one of the records it took back.
DELETE FROM op
WHERE (op_id, target) > (:op_id, :target) AND (op_id, target) <= (:last_op_id, :last_target) AND version < :before
AND NOT EXISTS (
  SELECT 1 FROM record
  WHERE record.target = op.target AND record.user = op.user AND record.version = op.version
  AND (record.emoji = op.emoji OR op.emoji = '')
)
AND NOT EXISTS (
  SELECT 1 FROM op_late WHERE op_late.op_id = op.op_id AND op_late.target = op.target AND op_late.made >= :before
)

-- name: forget_late
DELETE FROM op_late
WHERE (op_id, target) > (:op_id, :target) AND (op_id, target) <= (:last_op_id, :last_target) AND made < :before
