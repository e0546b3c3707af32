"""The title of a process in `ps` and `top`."""

from __future__ import annotations

import setproctitle

from stack.settings.model import SERVICES, Settings


def process_title(settings: Settings) -> str:
    """`plaudit: gateway 2`, `plaudit: reaction_svc, counter_svc`, `plaudit: all`."""
    services = "all" if settings.services == SERVICES else ", ".join(settings.services)
    return f"plaudit: {settings.name or services}"


def set_process_title(title: str) -> None:
    """Sets the title of the process and the name of its thread, at most 15 bytes, which `top` shows."""
    setproctitle.setproctitle(title)
    setproctitle.setthreadtitle(title.removeprefix("plaudit: ")[:15])
