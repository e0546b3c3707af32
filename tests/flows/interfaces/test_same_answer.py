"""One input has the same answer from every interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contracts.field_rules import rules_of
from tests.flows.interfaces.every_interface import OK, RPCS, TABLES, Answer, Fields, Interfaces, every_interface

_F = FieldDescriptor
TOGGLE = TABLES.frames["toggle_reaction"]


@pytest.fixture(name="interfaces", scope="module")
def fixture_interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Interfaces]]:
    with asyncio.Runner() as runner:
        opened = every_interface(tmp_path_factory.mktemp("interfaces"))
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


def bad(reason: str, field: str) -> Answer:
    return Answer("INVALID_ARGUMENT", reason, field)


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
]  # fmt: skip


def name_of(case: object) -> str:
    return ascii(case)[:60] if not isinstance(case, Answer) else case.reason


@pytest.mark.parametrize(("frame", "fields", "expected"), CASES, ids=name_of)
def test_each_interface_returns_the_same_answer(
    interfaces: tuple[asyncio.Runner, Interfaces], frame: str, fields: Fields, expected: Answer
) -> None:
    runner, system = interfaces
    answers = runner.run(system.ask(TABLES.frames[frame], fields))
    assert {"gRPC", "plaudit.v1.json", "plaudit.v1.proto", "Python client"} <= answers.keys()
    assert answers == dict.fromkeys(answers, expected)


# A rule of the whole message asks for these, or for fields that stand in their place.
_NEEDED = {"target": "posts/1", "targets": ["posts/1"], "emoji": "👍", "conversation_id": "a"}
_INSTEAD = {"target_id": "target", "target_ids": "targets", "target_type": "target", "reaction_type": "emoji"}
_INSTEAD["recipient_id"] = "conversation_id"


def valid(message: Descriptor) -> dict[str, Any]:
    """Fields that keep the rules of a request: those without which it is refused."""
    fields: dict[str, Any] = {}
    for field in message.fields:
        rules = rules_of(field)
        if field.has_presence and field.message_type is None:
            continue  # it may be absent
        if field.name in _NEEDED:
            fields[field.name] = _NEEDED[field.name]
            continue
        if field.is_repeated:
            if rules.repeated.min_items:
                fields[field.name] = [_item(field)]
        elif rules.string.min_bytes or rules.string.min_len:
            fields[field.name] = "👍"
        elif rules.string.pattern.startswith("^[a-z]+/"):
            fields[field.name] = "posts/1"
        elif rules.string.pattern and "{0," not in rules.string.pattern:
            fields[field.name] = "a"
        elif field.enum_type is not None and rules.enum.not_in:
            fields[field.name] = field.enum_type.values[1].name
    return fields


def broken(message: Descriptor) -> Iterator[tuple[str, dict[str, Any]]]:
    """Requests that break one rule each, by the path of the field that does."""
    good = valid(message)
    for field in message.fields:
        for value in _against(field):
            rest = {name: one for name, one in good.items() if not name.startswith(_INSTEAD.get(field.name, "-"))}
            beside = [name for name in ("target_id", "target_ids") if name in message.fields_by_name]
            if field.name.startswith("target_"):
                rest |= {
                    "target_type": "posts",
                    **({beside[0]: "1" if beside[0] == "target_id" else ["1"]} if beside else {}),
                }
            yield field.name, {**rest, field.name: value}
        if field.is_repeated and field.message_type is not None:
            for path, inner in broken(field.message_type):
                yield f"{field.name}[0].{path}", {**good, field.name: [inner]}


def _item(field: FieldDescriptor) -> Any:
    """An item of a list that keeps its rules."""
    if field.message_type is not None:
        return valid(field.message_type)
    if field.type in _INTEGERS:
        return 1
    return "a" if rules_of(field).repeated.items.string.pattern == _ID else "posts/1"


def _against(field: FieldDescriptor) -> Iterator[Any]:
    rules = rules_of(field)
    if field.is_repeated:
        if rules.repeated.min_items:
            yield []
        if rules.repeated.max_items:
            yield [_item(field)] * (int(rules.repeated.max_items) + 1)
    elif field.type == _F.TYPE_STRING:
        if rules.string.pattern:
            yield from ("a b", "x" * 5000)
        if rules.string.max_bytes:
            yield "x" * (int(rules.string.max_bytes) + 1)
        if rules.string.max_len:
            yield "é" * (int(rules.string.max_len) + 1)
        if rules.string.min_bytes or rules.string.min_len:
            yield ""
    elif field.enum_type is not None:
        if rules.enum.defined_only:
            yield 99
    else:
        number = {_F.TYPE_INT32: rules.int32, _F.TYPE_INT64: rules.int64}.get(field.type)
        if number is not None and number.HasField("gte"):
            yield number.gte - 1
        if number is not None and number.HasField("lte"):
            yield number.lte + 1


_ID = "^[A-Za-z0-9_.~-]{1,64}$"
_INTEGERS = (_F.TYPE_INT32, _F.TYPE_INT64, _F.TYPE_UINT32, _F.TYPE_UINT64)
BROKEN = [(method, path, fields) for method, rpc in sorted(RPCS.items()) for path, fields in broken(rpc.request)]


@pytest.mark.parametrize(
    ("method", "path", "fields"), BROKEN, ids=[f"{method.rsplit('/')[-1]} {path}" for method, path, _ in BROKEN]
)
def test_each_rule_of_the_contracts_is_enforced_by_every_interface(
    interfaces: tuple[asyncio.Runner, Interfaces], method: str, path: str, fields: Fields
) -> None:
    runner, system = interfaces
    answers = runner.run(system.ask(RPCS[method], fields))
    assert len(answers) > 1
    (answer,) = set(answers.values())
    assert answer == bad(RULE, path) or (path in _INSTEAD and answer.code == "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("values", "good"),
    [
        (["Bearer {}"], True),
        (["bearer {}"], True),
        (["BEARER {}"], True),
        (["Bearer  {}"], True),
        (["Bearer {} "], True),
        ([], False),
        (["{}"], False),
        (["Bearer"], False),
        (["Bearer "], False),
        (["Bearer{}"], False),
        (["Basic {}"], False),
        (["Token {}"], False),
        (["Bearer x{}"], False),
        (["Bearer {0} {0}"], False),
        (["Bearer {0}, Bearer {0}"], False),
        (["Bearer {}", "Bearer {}"], False),
        (["Bearer {}", "Basic eDp5"], False),
        (["Basic eDp5", "Bearer {}"], False),
    ],
    ids=ascii,
)
def test_a_token_is_accepted_by_every_interface_or_by_none(
    interfaces: tuple[asyncio.Runner, Interfaces], values: list[str], good: bool
) -> None:
    runner, system = interfaces
    found = runner.run(system.admitted(values))
    assert found == dict.fromkeys(found, good)
