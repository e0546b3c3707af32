"""What is a target and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Invalid, reason_of
from kit.target import COLLECTIONS, ID_PATTERN, Target, is_id, parse_target, target_name


@given(st.sampled_from(sorted(COLLECTIONS)), st.from_regex(ID_PATTERN, fullmatch=True))
def test_a_target_is_read_and_written_back(collection: str, item: str) -> None:
    assert str(parse_target(f"{collection}/{item}")) == f"{collection}/{item}"
    assert parse_target(f"{collection}/{item}") == Target(collection, item)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "messages",
        "messages/",
        "/42",
        "people/42",
        "Messages/42",
        "messages/4/2",
        "messages/4 2",
        "messages/42\n",
        "messages/42\0",
        "messages/:",
        "messages/{42}",
        "messages/*",
        "messages/?",
        "messages/é",
        "messages/'; DROP TABLE record",
        "messages/" + "x" * 65,
        "messages/" + "x" * 10_000,
        " messages/42",
    ],
)
def test_any_other_field_is_refused_by_name(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_target(text)
    assert (reason_of(refused.value), refused.value.field) == ("INVALID_TARGET", "target")


@pytest.mark.parametrize("text", ["messages/../posts/7", "messages/..", "messages/."])
def test_dot_segments_of_a_url_are_no_ids(text: str) -> None:
    with pytest.raises(Invalid):
        parse_target(text)
    assert parse_target("messages/...").id == "..."
    assert parse_target("messages/..a").id == "..a"


def test_an_id_is_never_empty_nor_ends_in_a_line_break() -> None:
    assert is_id("alice")
    assert not is_id("")
    assert not is_id("alice\n")


@pytest.mark.parametrize(
    ("target", "target_type", "target_id", "name"),
    [("posts/7", "", "", "posts/7"), ("", "", "7", "posts/7"), ("", "message", "7", "messages/7"), ("", "", "", "")],
)
def test_a_target_has_a_name_or_a_type_and_an_id(target: str, target_type: str, target_id: str, name: str) -> None:
    assert target_name(target, target_type, target_id) == name


@pytest.mark.parametrize(
    ("target", "target_type", "target_id", "field"),
    [("posts/7", "post", "", "target_type"), ("", "page", "7", "target_type"), ("", "post", "..", "target_id")],
)
def test_an_error_names_the_field_of_the_request(target: str, target_type: str, target_id: str, field: str) -> None:
    with pytest.raises(Invalid) as refused:
        target_name(target, target_type, target_id)
    assert refused.value.field == field
