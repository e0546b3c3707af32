"""One input has the same answer from every interface."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.contracts.field_rules import rules_of
from tests.flows.interfaces.answer_cases import CASES, RULE, bad
from tests.flows.interfaces.every_interface import RPCS, TABLES, Answer, Fields, Interfaces, every_interface

_F = FieldDescriptor
TOGGLE = TABLES.frames["toggle_reaction"]


@pytest.fixture(name="interfaces", scope="module")
def fixture_interfaces(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Interfaces]]:
    with asyncio.Runner() as runner:
        opened = every_interface(tmp_path_factory.mktemp("interfaces"), "moderate")
        yield runner, runner.run(opened.__aenter__())
        runner.run(opened.__aexit__(None, None, None))


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
_NEEDED = {"target": "posts/1", "targets": ["posts/1"], "emoji": "👍", "conversation_id": "a", "content": "👍"}
_INSTEAD = {"target_id": "target", "target_ids": "targets", "target_type": "target", "reaction_type": "emoji"}
_INSTEAD |= {"recipient_id": "conversation_id", "forward_of": "content"}


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
            fields[field.name] = next(one.name for one in field.enum_type.values if one.number not in rules.enum.not_in)
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
