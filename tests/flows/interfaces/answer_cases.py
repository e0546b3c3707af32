"""Inputs, each with the answer that it has from every interface."""

from __future__ import annotations

from kit.message_ids import direct_id
from tests.flows.interfaces.every_interface import OK, Answer, Fields


def bad(reason: str, field: str) -> Answer:
    return Answer("INVALID_ARGUMENT", reason, field)


NO_CONVERSATION = Answer("NOT_FOUND", "CONVERSATION_NOT_FOUND", "conversation_id")
RULE, TARGET, EMOJI = "INVALID_REQUEST", "INVALID_TARGET", "INVALID_EMOJI"
TARGETS: dict[str, Answer] = {
    "messages/42": OK,
    "messages/" + "x" * 64: OK,
    "messages/~._-": OK,
    "messages/...": OK,
    "messages/.": bad(TARGET, "target"),
    "messages/..": bad(TARGET, "target"),
    "message/42": bad(TARGET, "target"),
    "users/everywhere": bad(TARGET, "target"),
    "Messages/42": bad(RULE, "target"),
    "messages/" + "x" * 65: bad(RULE, "target"),
    "messages/a/b": bad(RULE, "target"),
    "messages/a b": bad(RULE, "target"),
    "messages/a%2Fb": bad(RULE, "target"),
    "messages/a,b": bad(RULE, "target"),
    "messages/é": bad(RULE, "target"),
    "messages/\n": bad(RULE, "target"),
    "messages/1\n": bad(RULE, "target"),
    "messages/1?x=y": bad(RULE, "target"),
    "messages/1#x": bad(RULE, "target"),
    "messages/": bad(RULE, "target"),
    "/42": bad(RULE, "target"),
    "messages": bad(RULE, "target"),
    " messages/42": bad(RULE, "target"),
    "": bad(RULE, "target"),
}
EMOJIS: dict[str, Answer] = {
    **dict.fromkeys(("👍", "👍\ufe0f", "👍\ufe0e", "❤️", "👍🏽", "🇺🇦", "1\ufe0f\u20e3", "1\u20e3"), OK),
    **dict.fromkeys((":+1:", "+1", "thumbsup", ":ThumbsUp:", "like", ":tada:", ":100:"), OK),
    **dict.fromkeys(
        ("x", "1", "100", "👍👍", "\ufe0f", "🇺", "🏽", "é", "a/b", "a b", " ", "\n", "%F0", ":x", "x" * 64),
        bad(EMOJI, "emoji"),
    ),
    "x" * 65: bad(RULE, "emoji"),
    "é" * 33: bad(RULE, "emoji"),
    "": bad(RULE, "emoji"),
}
OP_IDS: dict[str, Answer] = {
    **dict.fromkeys(("", "a", "x" * 64, "~._-"), OK),
    **dict.fromkeys(("x" * 65, "a b", "a/b", "é", "a+b", "a\n", "\0"), bad(RULE, "op_id")),
}
CASES: list[tuple[str, Fields, Answer]] = [
    *(("toggle_reaction", {"target": text, "emoji": "👍"}, answer) for text, answer in TARGETS.items()),
    *(("toggle_reaction", {"target": "posts/e", "emoji": text}, answer) for text, answer in EMOJIS.items()),
    *(
        ("toggle_reaction", {"target": f"posts/o{number}", "emoji": "👍", "op_id": text}, answer)
        for number, (text, answer) in enumerate(OP_IDS.items())
    ),
    *(("clear_reactions", {"target": text}, answer) for text, answer in TARGETS.items()),
    *(("get_reactions", {"target": text}, answer) for text, answer in TARGETS.items()),
    *(("list_reactors", {"target": "posts/e", "emoji": text}, answer) for text, answer in EMOJIS.items() if text),
    *(("list_reactors", {"target": "posts/e", "page_size": number}, OK) for number in (0, 1, 1 << 30)),
    ("list_reactors", {"target": "posts/e", "page_size": -1}, bad(RULE, "page_size")),
    ("list_reactors", {"target": "posts/e", "page_token": "edited"}, bad("INVALID_CURSOR", "page_token")),
    ("get_counts", {"targets": [f"comments/{number:064}" for number in range(1000)]}, OK),
    ("get_counts", {"targets": [",".join(f"posts/{number}" for number in range(1000))]}, OK),
    ("get_counts", {"targets": ["posts/1"] * 1001}, bad(RULE, "targets")),
    ("get_counts", {"targets": []}, bad(RULE, "targets")),
    ("get_counts", {"targets": ["post/1"]}, bad(TARGET, "target")),
    ("get_counts", {"targets": [""]}, bad(TARGET, "target")),
    *(
        (frame, {**emoji, **fields}, answer)
        for frame, emoji in (("toggle_reaction", {"emoji": "👍"}), ("clear_reactions", {}), ("list_reactors", {}))
        for fields, answer in (
            ({"target_id": "7"}, OK),
            ({"target_id": "7", "target_type": "comments"}, OK),
            ({"target_id": "7", "target_type": "page"}, bad(TARGET, "target_type")),
            ({"target_id": "..", "target_type": "post"}, bad(TARGET, "target_id")),
            ({"target": "posts/7", "target_type": "message"}, bad(RULE, "target_type")),
            ({"target": "posts/7", "target_type": "post"}, bad(RULE, "target_type")),
        )
    ),
    ("toggle_reaction", {"target": "posts/e", "reaction_type": "x"}, bad(EMOJI, "reaction_type")),
    ("get_counts", {"target_ids": ["1", "2"], "target_type": "comment"}, OK),
    ("get_counts", {"target_ids": ["1,"]}, bad(TARGET, "target_ids")),
    ("get_counts", {"target_ids": ["1"], "target_type": "page"}, bad(TARGET, "target_type")),
    ("get_counts", {"target_ids": [",".join("1" * 1001)]}, bad(RULE, "target_ids")),
    ("get_counts", {"targets": ["posts/1"], "target_type": "post"}, bad(RULE, "target_type")),
    ("get_own_reactions", {"targets": ["posts/1", "posts/1"]}, OK),
    ("get_own_reactions", {"targets": ["posts/1,"]}, bad(TARGET, "target")),
    ("send_message", {"recipient_id": "bob", "content": "Hello!\0👋", "content_type": "markdown"}, OK),
    ("send_message", {"recipient_id": "bob", "content": "x", "metadata": dict.fromkeys("abcde", "b" * 1024)},
     bad(RULE, "metadata")),
    ("send_message", {"recipient_id": "bob", "content": "x", "content_type": "poem"}, bad(RULE, "content_type")),
    ("send_message", {"recipient_id": "bob", "content": "x", "content_type": "image"},
     Answer("FAILED_PRECONDITION", "MEDIA_UNAVAILABLE", "content_type")),
    ("send_message", {"recipient_id": "..", "content": "x"}, bad(RULE, "recipient_id")),
    ("send_message", {"recipient_id": "bob", "content": "x", "reply_to": "msg_1"},
     Answer("NOT_FOUND", "MESSAGE_NOT_FOUND", "reply_to")),
    ("send_message", {"conversation_id": "conv_123", "content": "x"},
     Answer("NOT_FOUND", "CONVERSATION_NOT_FOUND", "conversation_id")),
    ("list_messages", {"conversation_id": "conv_123"},
     Answer("NOT_FOUND", "CONVERSATION_NOT_FOUND", "conversation_id")),
    ("create_conversation", {"participant_ids": ["bob", "carol"]}, bad(RULE, "participant_ids")),
    ("create_conversation", {"participant_ids": ["bob"]}, OK),
    ("create_group", {"name": "Team", "member_ids": [f"u{number}" for number in range(500)]},
     Answer("FAILED_PRECONDITION", "GROUP_FULL")),
    ("create_group", {"name": "Team", "avatar_url": "http://example.org/a.png"}, bad(RULE, "avatar_url")),
    ("list_conversations", {"page_token": "edited"}, bad("INVALID_CURSOR", "page_token")),
    ("send_message", {"recipient_id": "bob", "forward_of": "msg_1"},
     Answer("NOT_FOUND", "MESSAGE_NOT_FOUND", "forward_of")),
    ("send_message", {"recipient_id": "bob", "forward_of": "msg_1", "content": "x"}, bad(RULE, "content")),
    ("send_message", {"recipient_id": "bob"}, bad(RULE, "content")),
    ("send_message", {"recipient_id": "bob", "forward_of": "msg_1", "content_type": "text"},
     bad(RULE, "content_type")),
    *(
        (frame, {"conversation_id": "conv_123", **fields},
         Answer("NOT_FOUND", "CONVERSATION_NOT_FOUND", "conversation_id"))
        for frame, fields in (
            ("pin_message", {"message_id": "msg_1"}), ("unpin_message", {"message_id": "msg_1"}),
            ("list_pinned_messages", {}),
        )
    ),
    ("list_conversations", {"archived": True}, OK),
    ("update_membership", {"conversation_id": "conv_123", "archived": True, "marked_unread": True},
     Answer("NOT_FOUND", "CONVERSATION_NOT_FOUND", "conversation_id")),
    ("set_retention", {"conversation_id": direct_id("default", "everywhere", "bob"), "retention_seconds": 86_400}, OK),
    ("set_retention", {"conversation_id": "conv_123", "retention_seconds": 86_400},
     Answer("NOT_FOUND", "CONVERSATION_NOT_FOUND", "conversation_id")),
    ("set_retention", {"conversation_id": "conv_123", "retention_seconds": -1}, bad(RULE, "retention_seconds")),
    ("end_sessions", {"device_id": "nowhere"}, OK),
    ("end_sessions", {}, bad(RULE, "device_id")),
    ("end_sessions", {"device_id": "no where"}, bad(RULE, "device_id")),
    ("get_user", {"user_id": "everywhere"}, OK),
    ("get_user", {"user_id": "nobody"}, Answer("NOT_FOUND", "USER_NOT_FOUND", "user_id")),
    ("get_user", {"user_id": ".."}, bad(RULE, "user_id")),
    ("get_users", {"user_ids": ["everywhere", "nobody"]}, OK),
    ("get_profile", {}, OK),
    ("update_profile", {"username": "Everywhere.1", "display_name": "Every\u202ewhere 👋"}, OK),
    ("update_profile", {"username": "every where"}, bad(RULE, "username")),
    ("update_profile", {"display_name": "\0"}, bad(RULE, "display_name")),
    ("update_profile", {"avatar_url": "ftp://example.org/a.png"}, bad(RULE, "avatar_url")),
    ("search_users", {"username_prefix": "EVERY"}, OK),
    ("search_users", {"username_prefix": "%"}, bad(RULE, "username_prefix")),
    ("search_users", {"username_prefix": "e", "page_token": "edited"}, bad("INVALID_CURSOR", "page_token")),
    ("look_up_phone", {"phone": "+4930123456"}, Answer("NOT_FOUND", "USER_NOT_FOUND", "phone")),
    ("add_contact", {"user_id": "bob"}, OK),
    ("add_contact", {"user_id": "everywhere"}, bad(RULE, "user_id")),
    ("list_contacts", {"page_size": 1}, OK),
    ("remove_contact", {"user_id": "bob"}, OK),
    ("block_user", {"user_id": "mallory"}, OK),
    ("send_message", {"recipient_id": "mallory", "content": "x"}, Answer("PERMISSION_DENIED", "CANNOT_MESSAGE_USER")),
    ("create_conversation", {"participant_ids": ["mallory"]}, Answer("PERMISSION_DENIED", "CANNOT_MESSAGE_USER")),
    ("create_group", {"name": "Team", "member_ids": ["mallory"]}, Answer("PERMISSION_DENIED", "CANNOT_ADD_USER")),
    ("list_blocked_users", {}, OK),
    ("unblock_user", {"user_id": "mallory"}, OK),
    ("update_preferences", {"who_may_add": "AUDIENCE_CONTACTS", "read_receipts": True}, OK),
    ("get_preferences", {}, OK),
    ("report_message", {"conversation_id": "conv_123", "message_id": "msg_1", "reason": "REPORT_REASON_SPAM"},
     NO_CONVERSATION),
    ("list_reports", {"status": "REPORT_STATUS_OPEN", "page_size": 1}, OK),
    ("list_reports", {"page_token": "edited"}, bad("INVALID_CURSOR", "page_token")),
    ("resolve_report", {"report_id": "rep_1", "status": "REPORT_STATUS_UPHELD"},
     Answer("NOT_FOUND", "REPORT_NOT_FOUND", "report_id")),
    ("resolve_report", {"report_id": "rep_1", "status": "REPORT_STATUS_OPEN"}, bad(RULE, "status")),
    ("remove_message", {"conversation_id": "conv_123", "message_id": "msg_1"}, NO_CONVERSATION),
    ("exclude_member", {"conversation_id": "conv_123", "user_id": "bob"}, NO_CONVERSATION),
    ("close_conversation", {"conversation_id": "conv_123", "reason": "x" * 1001}, bad(RULE, "reason")),
    ("close_conversation", {"conversation_id": "conv_123"}, NO_CONVERSATION),
    ("list_audit_records", {"page_size": 1}, OK),
    ("list_audit_records", {"page_token": "edited"}, bad("INVALID_CURSOR", "page_token")),
]  # fmt: skip
