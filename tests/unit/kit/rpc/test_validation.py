"""A field that breaks a pattern of its contract is answered with a sentence, not with the pattern."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from gateway.contracts.field_rules import rules_of
from kit.contracts import installed_contracts
from kit.errors import Invalid
from kit.rpc.validation import PATTERN_MESSAGES, validate
from kit.target import TARGET_FORM, TOPIC_FORM, parse_target
from plaudit.counter.v1 import counter_service_pb2
from plaudit.gateway.v1 import frames_pb2
from plaudit.reaction.v1 import reaction_changes_pb2 as changes_pb


def patterns() -> set[str]:
    """All that the contracts set on fields and on items of lists."""
    rules = [rules_of(field) for field in fields()]
    texts = [one.string for one in rules if one.WhichOneof("type") == "string"]
    texts += [one.repeated.items.string for one in rules if one.WhichOneof("type") == "repeated"]
    return {text.pattern for text in texts} - {""}


def fields() -> Iterator[FieldDescriptor]:
    pool = DescriptorPool()
    for file in installed_contracts().file:
        pool.AddSerializedFile(file.SerializeToString())
        if file.package.startswith("plaudit."):
            for name in file.message_type:
                yield from _fields(pool.FindMessageTypeByName(f"{file.package}.{name.name}"))


def _fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    yield from message.fields
    for nested in message.nested_types:
        yield from _fields(nested)


def test_every_pattern_of_the_contracts_has_a_sentence() -> None:
    assert patterns() == set(PATTERN_MESSAGES)


@pytest.mark.parametrize("name", ["messages", "Messages/42", "messages/a b", "/", "messages/" + "x" * 65])
def test_a_target_of_a_bad_form_gets_the_sentence_of_one_of_an_unknown_collection(name: str) -> None:
    with pytest.raises(Invalid) as unknown:
        parse_target("nope/1")
    for request in (
        changes_pb.ToggleReactionRequest(target=name, emoji="👍"),
        counter_service_pb2.GetReactionCountsRequest(target=name),
    ):
        with pytest.raises(Invalid) as refused:
            validate(request)
        assert (str(refused.value), refused.value.field) == (str(unknown.value), "target")
        assert str(refused.value) == TARGET_FORM


def test_a_topic_of_a_bad_form_gets_the_sentence_of_topics() -> None:
    with pytest.raises(Invalid) as refused:
        validate(frames_pb2.Subscribe(topics=["messages/1", "messages"]))
    assert (str(refused.value), refused.value.field) == (TOPIC_FORM, "topics[1]")
