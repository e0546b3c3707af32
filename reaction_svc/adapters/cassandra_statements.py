"""The statements of the store in Cassandra; the tables are in `cassandra/`."""

from __future__ import annotations

CQL = {
    "save_head": "INSERT INTO reactions (tenant, target, bucket, head) VALUES (?, ?, 0, ?) USING TIMESTAMP ?",
    "save_record": "INSERT INTO reactions (tenant, target, bucket, user, emoji, held, version, op_id, action)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    "save_answers": "INSERT INTO operations (tenant, target, slice, part, stamp, answers) VALUES (?, ?, ?, ?, ?, ?)"
    " USING TIMESTAMP ? AND TTL ?",
    "save_batch": "INSERT INTO outbox (node, slot, seq, data) VALUES (?, ?, ?, ?) USING TTL ?",
    "heads": "SELECT DISTINCT target, head FROM reactions WHERE tenant = ? AND target IN ? AND bucket = 0",
    "head": "SELECT DISTINCT head FROM reactions WHERE tenant = ? AND target = ? AND bucket = 0",
    "records": "SELECT user, emoji, held, version, op_id, action FROM reactions"
    " WHERE tenant = ? AND target = ? AND bucket = ? AND user IN ?",
    "own": "SELECT target, emoji, held, version FROM reactions"
    " WHERE tenant = ? AND target IN ? AND bucket = ? AND user = ?",
    "scan": "SELECT user, emoji, held, version FROM reactions WHERE tenant = ? AND target = ? AND bucket = ?",
    "answers": "SELECT answers FROM operations WHERE tenant = ? AND target = ? AND slice = ? AND part IN ?",
    "targets": "SELECT DISTINCT tenant, target, bucket, head, token(tenant, target, bucket) FROM reactions"
    " WHERE token(tenant, target, bucket) > ? LIMIT ?",
    "batches": "SELECT seq, data FROM outbox WHERE node = ? AND slot = ? AND seq > ? LIMIT ?",
    "nodes": "SELECT node, generation, published, cut FROM outbox_node",
    "node": "SELECT node, generation, published, cut FROM outbox_node WHERE node = ?",
    "save_node": "INSERT INTO outbox_node (node, generation, published) VALUES (?, ?, ?)",
    "save_published": "UPDATE outbox_node SET published = ? WHERE node = ?",
    "save_cut": "UPDATE outbox_node SET cut = ? WHERE node = ?",
    "drop_node": "DELETE FROM outbox_node WHERE node = ?",
}
