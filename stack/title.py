"""What a process is called in `ps` and `top`."""

from __future__ import annotations

import setproctitle

from stack.config import ROOMS, Settings


def title_of(settings: Settings) -> str:
    """`plaudit: gateway 2`, `plaudit: reaction_svc, counter_svc`, `plaudit: all`."""
    rooms = "all" if settings.rooms == ROOMS else ", ".join(settings.rooms)
    return f"plaudit: {settings.name or rooms}"


def be_called(title: str) -> None:
    """Also the thread's name, which has 15 bytes: `top` shows that."""
    setproctitle.setproctitle(title)
    setproctitle.setthreadtitle(title.removeprefix("plaudit: ")[:15])
