"""Settings come from a file and variables, and every mistake is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from stack.config import ROOMS, BadSettings, load


def test_everything_has_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load()
    assert settings.http == "127.0.0.1:8080"
    assert settings.grpc == "127.0.0.1:50051"
    assert settings.rooms == ROOMS


def test_a_variable_wins_over_the_file_and_the_file_over_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plaudit.toml"
    file.write_text('grpc = "127.0.0.1:1"\nhttp = "127.0.0.1:2"\n[session]\nlease_seconds = 3\n')
    monkeypatch.setenv("PLAUDIT_HTTP", "127.0.0.1:3")
    monkeypatch.setenv("PLAUDIT_SESSION__MAX_NODES", "7")
    settings = load(file)
    assert (settings.grpc, settings.http) == ("127.0.0.1:1", "127.0.0.1:3")
    assert (settings.session.lease_seconds, settings.session.max_nodes) == (3, 7)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PLAUDIT_HTPP", "x", "PLAUDIT_HTPP: there is no such setting"),
        ("PLAUDIT_SESSION__LEASE", "3", "PLAUDIT_SESSION__LEASE: there is no such setting"),
        ("PLAUDIT_REACTION__NONSENSE", "3", "PLAUDIT_REACTION__NONSENSE: there is no such setting"),
        ("PLAUDIT_COUNTER__NONSENSE", "3", "PLAUDIT_COUNTER__NONSENSE: there is no such setting"),
        ("PLAUDIT_FANOUT__NONSENSE", "3", "PLAUDIT_FANOUT__NONSENSE: there is no such setting"),
        ("PLAUDIT_GATEWAY__NONSENSE", "3", "PLAUDIT_GATEWAY__NONSENSE: there is no such setting"),
        ("PLAUDIT_GATEWAY__SOCKET__NONSENSE", "3", "PLAUDIT_GATEWAY__SOCKET__NONSENSE: there is no such setting"),
        ("PLAUDIT_SESSION__LEASE_SECONDS", "-1", "PLAUDIT_SESSION__LEASE_SECONDS: "),
        ("PLAUDIT_WORKERS", "many", "PLAUDIT_WORKERS: "),
        ("PLAUDIT_HTTP", "8080", "PLAUDIT_HTTP: "),
        ("PLAUDIT_GRPC", "localhost:99999", "PLAUDIT_GRPC: "),
        ("PLAUDIT_ROOMS", "reaction_svc,kitchen", "no room is called 'kitchen'"),
        ("PLAUDIT_DATA__X", "1", "PLAUDIT_DATA"),
        ("PLAUDIT_REGISTRY", "127.0.0.1:1,nowhere", "PLAUDIT_REGISTRY: 'nowhere' is not host:port"),
        ("PLAUDIT_HOT", "http://127.0.0.1:1", "PLAUDIT_HOT: this is not a URL of the form redis://"),
        ("PLAUDIT_EVENTS", "kafka://127.0.0.1:99999/x", "PLAUDIT_EVENTS: the URL has no port from 1 to 65535"),
        ("PLAUDIT_EVENTS", "kafka://127.0.0.1/x", "a ledger in a file is its own event log: set PLAUDIT_RECORDS, too"),
    ],
)
def test_a_mistake_is_named(variable: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as caught:
        load()
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.toml"
    broken.write_text("http = ")
    for file in (broken, tmp_path / "missing.toml"):
        with pytest.raises(BadSettings, match=str(file)):
            load(file)


@pytest.mark.parametrize(
    ("named", "is_shared"),
    [((), False), (("hot",), False), (("records",), False), (("records", "hot"), False), (("records", "events"), True)],
)
def test_redis_is_never_needed_and_nodes_share_their_work_where_nothing_is_in_their_files(
    named: tuple[str, ...], is_shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    urls = {"records": "cassandra://c1/x", "hot": "redis://r1/0", "events": "kafka://k1/x"}
    for name in named:
        monkeypatch.setenv(f"PLAUDIT_{name.upper()}", urls[name])
    assert load().is_shared is is_shared


def test_a_process_that_only_reads_the_event_log_needs_no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLAUDIT_EVENTS", "kafka://k1/x")
    monkeypatch.setenv("PLAUDIT_ROOMS", "fanout_svc,gateway")
    assert load().events
