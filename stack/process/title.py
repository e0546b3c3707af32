"""What a process is called in `ps` and `top`."""

from __future__ import annotations

import setproctitle

from stack.settings.model import SERVICES, Settings


def title_of(settings: Settings) -> str:
    """`plaudit: gateway 2`, `plaudit: reaction_svc, counter_svc`, `plaudit: all`."""
    services = "all" if settings.services == SERVICES else ", ".join(settings.services)
    return f"plaudit: {settings.name or services}"


def be_called(title: str) -> None:
    """Also the thread's name, which has 15 bytes: `top` shows that."""
    setproctitle.setproctitle(title)
    setproctitle.setthreadtitle(title.removeprefix("plaudit: ")[:15])
