"""The file of revoked tokens: which lines are ids, and that a file that is being replaced restores no token."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kit.auth.keys import BadKeys, open_keys
from kit.auth.revocations import CannotRead, Revocations, revoke


@pytest.fixture(name="file")
def fixture_file(tmp_path: Path) -> Path:
    return tmp_path / "revoked"


def make_link_to_itself(file: Path) -> None:
    file.symlink_to(file)


def write_garbage(file: Path) -> None:
    file.write_bytes(b"\xff\n")


def write_utf_16(file: Path) -> None:
    file.write_text("first\nsecond\n", "utf-16")


@pytest.mark.parametrize("make", [Path.mkdir, make_link_to_itself, write_garbage, write_utf_16])
def test_a_file_that_cannot_be_read_ends_the_start_in_one_line(tmp_path: Path, make: Callable[[Path], None]) -> None:
    keys = open_keys(tmp_path)
    make(keys.revoked_file)
    with pytest.raises(BadKeys) as caught:
        keys.verifier()
    assert str(keys.revoked_file) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(CannotRead, match="revoked"):
        revoke(keys.revoked_file, "another")


def test_an_undecodable_line_leaves_the_others_in_force(file: Path) -> None:
    file.write_bytes(b"first\n\xff\nsecond  # \xfe\n")
    with capture_logs() as logs:
        revocations = Revocations(file)
    assert revocations.ids(0.0) == {"first", "second"}
    assert [line["log_level"] for line in logs] == ["error"]
    assert revoke(file, "third")
    assert not revoke(file, "second")
    assert revocations.ids(1.0) == {"first", "second", "third"}


def test_a_byte_order_mark_is_not_a_part_of_the_first_id(file: Path) -> None:
    file.write_bytes(codecs.BOM_UTF8 + b"first  # alice\n")
    assert Revocations(file).ids(0.0) == {"first"}


def test_a_file_that_is_being_replaced_revokes_the_same_ids(file: Path) -> None:
    file.write_text("first\nsecond\n")
    revocations = Revocations(file)
    for now, text in ((10.0, ""), (12.0, "third\n"), (14.0, "third\nfirst\n")):
        file.write_text(text)
        assert revocations.ids(now) >= {"first", "second"}
    assert revocations.ids(18.9) == {"first", "second", "third"}
    assert revocations.ids(19.9) == {"first", "third"}


def test_a_clock_that_is_set_back_delays_a_removal_by_five_seconds_only(file: Path) -> None:
    file.write_text("first\n")
    revocations = Revocations(file)
    file.write_text("")
    assert revocations.ids(1_000.0) == {"first"}
    assert revocations.ids(10.0) == {"first"}  # the clock was set back
    assert revocations.ids(16.0) == frozenset()


def test_a_missing_file_revokes_the_same_ids_and_is_logged_once(file: Path) -> None:
    file.write_text("first\n")
    revocations = Revocations(file)
    file.rename(file.with_suffix(".old"))
    with capture_logs() as logs:
        for now in (10.0, 20.0, 30.0):
            assert revocations.ids(now) == {"first"}
    assert [line["file"] for line in logs] == [str(file)]
    file.write_text("")
    assert revocations.ids(40.0) == {"first"}
    assert revocations.ids(45.0) == frozenset()


def test_the_same_ids_are_the_same_object(file: Path) -> None:
    file.write_text("first\n")
    revocations = Revocations(file)
    before = revocations.ids(0.0)
    file.write_text("# comment\nfirst\n")
    assert revocations.ids(10.0) is before


def test_without_a_file_no_token_is_revoked_until_a_file_exists(file: Path) -> None:
    revocations = Revocations(file)
    assert revocations.ids(0.0) == frozenset()
    revoke(file, "first")
    assert revocations.ids(1.0) == {"first"}
