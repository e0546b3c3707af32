"""Worker processes of one `plaudit up`: gateways that share the port of the first process."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from kit.stopping import Stage, StopDeadline
from stack.process.supervisor import UP_COMMAND, Program
from stack.settings.model import Settings

log = structlog.get_logger()


def worker_programs(settings: Settings, registry: str, stop: StopDeadline) -> Sequence[Program]:
    """The `settings.workers - 1` gateway processes that register with `registry`.

    A worker has less time to stop than the first process, whose services answer the worker's clients until it ends.
    """
    environment = {
        "PLAUDIT_SERVICES": "gateway",
        "PLAUDIT_WORKERS": "1",
        "PLAUDIT_HTTP": settings.http,
        "PLAUDIT_GRPC": f"{settings.grpc.rpartition(':')[0]}:0",
        "PLAUDIT_STATUS": "",
        "PLAUDIT_REGISTRY": registry,
        "PLAUDIT_DATA": str(settings.data),
        "PLAUDIT_IDENTITY__ISSUERS": settings.identity.as_variable(),
        "PLAUDIT_DEMO": str(settings.demo).lower(),
        "PLAUDIT_SHARED_PORT": "true",
        "PLAUDIT_GRACE_SECONDS": f"{stop.seconds_until(Stage.CLIENTS):g}",
    }
    return [
        Program(
            f"worker-{number}",
            UP_COMMAND,
            None,
            {**environment, "PLAUDIT_NAME": f"gateway {number}"},
            stop_seconds=stop.seconds_until(Stage.WORKERS),
        )
        for number in range(2, settings.workers + 1)
    ]


def log_worker_event(line: str) -> None:
    """Logs an end or a restart of a worker."""
    log.error("worker", event_text=line)
