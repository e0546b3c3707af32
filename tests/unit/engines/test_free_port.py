"""Ports for servers of tests that run side by side."""

from __future__ import annotations

import subprocess
import sys

import pytest

from engines.server import free_port
from tests.running import ROOT


def test_a_port_is_claimed_by_one_process_only_also_before_it_is_used() -> None:
    port = free_port()
    code = f"from engines.server import free_port; free_port(({port}, {port + 1}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert f"no port from {port} to {port + 1} is free" in done.stderr


def test_a_port_is_returned_once() -> None:
    port = free_port()
    with pytest.raises(OSError, match="is free"):
        free_port((port, port + 1))
