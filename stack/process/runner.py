"""Runs one process of `plaudit up` until a signal."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

import structlog

from kit.adapters.sqlite.file import CannotOpen
from kit.auth.keys import BadKeys
from kit.engine_url import CannotUse
from kit.rpc.tracing import TracingMissing
from kit.stopping import StopDeadline
from stack.process import sdnotify
from stack.process.composition import running
from stack.process.datalock import FolderInUse
from stack.process.descriptors import raise_descriptor_limit
from stack.process.logs import configure_logging
from stack.process.stopping import enforce_deadline, exit_process, run_until_signal
from stack.process.supervisor import CannotStart
from stack.process.title import process_title, set_process_title
from stack.process.version import export_build_info
from stack.settings.model import Settings

Announce = Callable[[dict[str, Any]], None]
log = structlog.get_logger()
# A thread of a store that returns from the disk must win the interpreter lock from a busy loop; the default of 5 ms
# would be most of the latency of an answer.
_SWITCH_SECONDS = 0.0005
# Messages are allocated by the thousand without cycles: a collection after every 700 costs a tenth of the throughput.
_GC = (50_000, 50, 100)


def run(settings: Settings, announce: Announce | None = None) -> NoReturn:
    """Runs until SIGINT or SIGTERM, then ends the process; raises CannotStart.

    `announce` gets the addresses once everything serves.
    """
    import uvloop

    configure_logging(settings.log)
    set_process_title(process_title(settings))
    export_build_info()
    raise_descriptor_limit()
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = StopDeadline(settings.grace_seconds)
    uvloop.run(_serve(settings, announce or print_banner, stop, sdnotify.open_notifier()))
    log.info("stopped", seconds=round(stop.elapsed(), 3))
    exit_process()


async def _serve(settings: Settings, announce: Announce, stop: StopDeadline, notify: sdnotify.Notify) -> None:
    def on_ready(facts: dict[str, Any]) -> None:
        facts = printed_facts(facts, settings, is_json=announce is not print_banner)
        log.info("listening", **_addresses(settings, facts))
        announce(facts)
        notify("READY=1")
        # Objects of the start live as long as the process: exclude them from collections.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC)

    def on_stop() -> None:
        stop.start()
        notify("STOPPING=1")

    enforce_deadline(stop)
    try:
        await run_until_signal(running(settings, stop), on_ready, on_stop)
    except (CannotUse, CannotOpen, BadKeys, FolderInUse, TracingMissing, OSError) as error:
        raise CannotStart(_reason(error, settings)) from None


def _reason(error: Exception, settings: Settings) -> str:
    if not isinstance(error, OSError) or error.errno is None:
        return str(error)
    if error.filename is not None:
        return f"cannot use {error.filename}: {error.strerror}; the data folder is {settings.data}"
    reason = os.strerror(error.errno)
    if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES, errno.EPERM):
        # Only the gateway is bound by the event loop; the error of gRPC names its address itself.
        reason = "something else does" if error.errno == errno.EADDRINUSE else reason
        return f"cannot listen on {settings.http}: {reason}; choose another with --http"
    return f"cannot use the data folder {settings.data}: {reason}"


def _addresses(settings: Settings, facts: dict[str, Any]) -> dict[str, str]:
    """The addresses on which this process listens."""
    addresses = {"grpc": facts["grpc"]}
    if "gateway" in settings.services:
        addresses["http"] = settings.http
    if settings.status:
        addresses["status"] = settings.status
    return addresses


def is_terminal() -> bool:
    """Whether the output is a terminal; otherwise the log is JSON, or the output is stored."""
    return sys.stdout.isatty() and sys.stderr.isatty()


def printed_facts(facts: dict[str, Any], settings: Settings, *, is_json: bool) -> dict[str, Any]:
    """The facts to print; with a token in a demo, or at a terminal. Journals store all other output."""
    if settings.demo or (is_terminal() and not is_json):
        return facts
    return {name: value for name, value in facts.items() if name != "token"}


def print_banner(facts: dict[str, Any]) -> None:
    """Prints the addresses: for a terminal in several lines, otherwise in one."""
    if not is_terminal():
        page = f"page {facts['page']}, " if "page" in facts else ""
        token = f", a token for the user demo {facts['token']}" if "token" in facts else ""
        print(f"Plaudit is running: {page}gRPC {facts['grpc']}{token}", flush=True)
        return
    lines = ["", "  Plaudit is running", ""]
    if "page" in facts:
        lines += [f"  page    {facts['page']}", f"  socket  {facts['socket']}"]
    lines += [f"  gRPC    {facts['grpc']}"]
    if "token" in facts:
        lines += ["", "  a token for the user demo, valid for a day:", f"  {facts['token']}"]
    print("\n".join([*lines, "", "  Ctrl-C stops it.", ""]), flush=True)
