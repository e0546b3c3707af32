"""Which files other users can read."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit.private_files import is_readable_by_others, touch_private


@pytest.mark.parametrize(("mode", "expected"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_a_file_that_group_or_others_may_read_is_reported(tmp_path: Path, mode: int, expected: bool) -> None:
    file = tmp_path / "signing.pem"
    touch_private(file)
    file.chmod(mode)
    assert is_readable_by_others(file) is expected


def test_a_mounted_file_of_another_user_is_not_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "signing.pem"
    touch_private(file)
    file.chmod(0o644)
    owner = file.stat().st_uid
    monkeypatch.setattr("os.geteuid", lambda: owner + 1)
    assert not is_readable_by_others(file)


def test_a_file_that_is_missing_is_not_reported(tmp_path: Path) -> None:
    assert not is_readable_by_others(tmp_path / "signing.pem")
