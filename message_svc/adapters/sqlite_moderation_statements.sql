-- name: save_reports
INSERT INTO report (tenant, conversation_id, report_id, seq, reporter, sender, reason, comment, content, content_type,
  send_ms, time_ms)
VALUES :rows
ON CONFLICT (tenant, report_id) DO NOTHING

-- name: save_audits
INSERT INTO audit_record (tenant, conversation_id, audit_id, action, actor, capacity, time_ms, seq, user, role,
  report_id, report_status, reason)
VALUES :rows
ON CONFLICT (tenant, audit_id) DO NOTHING

-- name: resolve_report
UPDATE report SET status = ?, resolver = ?, note = ?, resolve_ms = ? WHERE tenant = ? AND report_id = ?

-- name: erase_reporter
UPDATE report SET reporter = '', comment = '' WHERE tenant = ? AND report_id = ?

-- name: find_report
SELECT conversation_id, report_id, seq, reporter, sender, reason, comment, content, content_type, send_ms, time_ms,
  status, resolver, note, resolve_ms
FROM report WHERE tenant = ? AND report_id = ?

-- name: reports
SELECT conversation_id, report_id, seq, reporter, sender, reason, comment, content, content_type, send_ms, time_ms,
  status, resolver, note, resolve_ms
FROM report WHERE tenant = ? AND report_id < ? ORDER BY report_id DESC LIMIT ?

-- name: reports_of_status
SELECT conversation_id, report_id, seq, reporter, sender, reason, comment, content, content_type, send_ms, time_ms,
  status, resolver, note, resolve_ms
FROM report WHERE tenant = ? AND status = ? AND report_id < ? ORDER BY report_id DESC LIMIT ?

-- name: reports_by
SELECT conversation_id, report_id, seq, reporter, sender, reason, comment, content, content_type, send_ms, time_ms,
  status, resolver, note, resolve_ms
FROM report WHERE tenant = ? AND reporter = ? AND report_id > ? ORDER BY report_id LIMIT ?

-- name: audits
SELECT conversation_id, audit_id, action, actor, capacity, time_ms, seq, user, role, report_id, report_status, reason
FROM audit_record WHERE tenant = ? AND audit_id < ? ORDER BY audit_id DESC LIMIT ?
