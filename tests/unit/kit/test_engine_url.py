"""URLs of engines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.engine_url import CannotUse, EngineUrl, parse


def test_a_url_has_hosts_a_name_and_options() -> None:
    found = parse("kafka://a:1,b.example:2/plaudit?partitions=16&replication=3", "kafka")
    assert found == EngineUrl(
        "kafka", (("a", 1), ("b.example", 2)), "plaudit", {"partitions": "16", "replication": "3"}
    )
    assert str(found) == "kafka://a:1,b.example:2/plaudit"


def test_a_port_that_is_not_given_is_the_default_of_the_engine() -> None:
    hosts = [parse(f"{scheme}://h,[::1]", scheme).hosts for scheme in ("redis", "cassandra", "kafka")]
    assert hosts == [(("h", port), ("::1", port)) for port in (6379, 9042, 9092)]


def test_a_password_is_read_and_never_shown() -> None:
    found = parse("redis://me:s%40cret@h:1/0", "redis")
    assert (found.user, found.password, found.hosts) == ("me", "s@cret", (("h", 1),))
    assert "cret" not in repr(found) + str(found)
    with pytest.raises(CannotUse) as refused:
        parse("redis://me:secret@h:1/0#", "redis")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("", "of the form kafka://host:port/name"),
        ("redis://h:1/0", "of the form kafka://host:port/name"),
        ("kafka:h:1", "of the form kafka"),
        ("kafka://h:1/x#y", "of the form kafka"),
        ("kafka:///x", "host:port, not ''"),
        ("kafka://h:1,,i:2/x", "host:port, not ''"),
        ("kafka://h:x/x", "host:port, not 'h:x'"),
        ("kafka://h:0/x", "no port from 1 to 65535"),
        ("kafka://h:65536/x", "no port from 1 to 65535"),
        ("kafka://h:1/a/b", "letters, digits"),
        ("kafka://h:1/a?partitions", "name=value"),
        ("kafka://h:1/a?partitions=1&partitions=2", "partitions twice"),
        ("kafka://h:1/a?colour=red", "unknown option colour; there are: partitions"),
    ],
)
def test_an_invalid_url_is_refused_in_one_line(url: str, why: str) -> None:
    with pytest.raises(CannotUse) as refused:
        parse(url, "kafka", known=["partitions"])
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@given(st.text())
def test_any_input_is_read_or_refused(text: str) -> None:
    for url in (text, f"kafka://{text}", f"kafka://h:1/{text}", f"kafka://h:1/x?{text}"):
        try:
            line = str(parse(url, "kafka"))
        except CannotUse as refused:
            line = str(refused)
        assert len(line.splitlines()) == 1


def test_a_numeric_option_is_validated() -> None:
    found = parse("kafka://h/x?partitions=16&replication=none&zero=0", "kafka")
    assert (found.whole("partitions", 1), found.whole("missing", 7), found.whole("zero", 1, least=0)) == (16, 7, 0)
    for option in ("replication", "zero"):
        with pytest.raises(CannotUse, match=f"option {option} of the URL is a whole number of at least 1"):
            found.whole(option, 1)
