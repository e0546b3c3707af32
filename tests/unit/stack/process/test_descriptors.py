"""Descriptors of a process: the limit in force, connections that fit in it, and what is logged where none is left."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

from structlog.testing import capture_logs

from gateway.config import Config
from gateway.limits import SocketLimits
from stack.process.descriptors import fit_connections, fit_grpc_connections, log_lowered

_RAISES = """
import resource
from stack.process.descriptors import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
print(raise_descriptor_limit(), resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    found = subprocess.run([sys.executable, "-c", _RAISES], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "512 (512, 512)"


def test_connections_and_their_shares_are_lowered_to_the_available_descriptors() -> None:
    limits = replace(SocketLimits(), connections=16_000, idle_per_address=4_000)
    fitted = fit_connections(Config(socket=limits, connections_per_address=8_000), 1_024)
    assert (fitted.socket.connections, fitted.socket.idle_per_address) == (768, 192)
    assert fitted.connections_per_address == 384


def test_connections_that_fit_stay_as_they_are() -> None:
    config = Config()
    assert fit_connections(config, config.socket.connections + 4_096) is config


def test_the_grpc_port_uses_half_of_the_remaining_descriptors() -> None:
    assert fit_grpc_connections(4_096, 1_024, 768) == 128
    assert fit_grpc_connections(4_096, 65_536, 16_384) == 4_096


def test_a_lower_limit_is_logged_and_an_unchanged_one_is_not() -> None:
    with capture_logs() as logs:
        log_lowered("HTTP", 16_000, 768)
        log_lowered("gRPC", 128, 128)
    assert [(line["port"], line["connections"], line["wanted"]) for line in logs] == [("HTTP", 768, 16_000)]


_REPORTS = """
import asyncio, os, resource
from stack.process.descriptors import report_exhaustion
async def main():
    task = asyncio.create_task(report_exhaustion(60))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(map(int, os.listdir("/proc/self/fd")))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used, hard))
    await asyncio.sleep(0)
    task.cancel()
asyncio.run(main())
"""


def test_a_lack_of_descriptors_is_logged() -> None:
    found = subprocess.run([sys.executable, "-c", _REPORTS], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.count("no more descriptors can be opened") == 1
