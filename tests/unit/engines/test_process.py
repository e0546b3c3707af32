"""A process is known by more than its pid."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from engines.process import identity_of, runs, send, wait_gone


@pytest.fixture(name="sleeper")
def fixture_sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


def test_a_running_process_is_recognized() -> None:
    me = identity_of(os.getpid())
    assert me is not None
    assert runs(me)


def test_a_signal_reaches_the_process_and_its_end_is_detected(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)
    assert identity is not None
    assert not wait_gone(identity, 0)
    assert send(identity, signal.SIGTERM)
    assert wait_gone(identity, 10)
    assert sleeper.wait() == -signal.SIGTERM


def test_another_process_with_the_same_pid_is_not_signalled(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)
    assert identity is not None
    former = replace(identity, started=identity.started - 1)
    assert not runs(former)
    assert not send(former, signal.SIGKILL)
    assert wait_gone(former, 0)
    assert not send(replace(identity, boot="another boot"), signal.SIGKILL)
    assert sleeper.poll() is None


def test_a_process_that_ended_is_not_found_even_before_it_is_waited_for(sleeper: subprocess.Popen[bytes]) -> None:
    identity = identity_of(sleeper.pid)
    assert identity is not None
    sleeper.kill()
    assert wait_gone(identity, 10)
    assert identity_of(sleeper.pid) is None
    assert not send(identity, signal.SIGTERM)
