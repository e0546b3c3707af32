"""What a start checks before it opens engines and ports, and `plaudit config check` without a start."""

from __future__ import annotations

from collections.abc import Iterator

from kit.auth.issuers import check_files
from kit.engine_url import CannotUse
from kit.rpc.tls import open_tls
from stack.addresses import is_loopback
from stack.settings.model import Settings


def combination_problems(settings: Settings) -> Iterator[str]:
    """Settings that do not fit together, a line for each."""
    if "session_registry" not in settings.services and not settings.registry:
        yield "without the service session_registry, --registry must have its address"
    if settings.demo and not is_loopback(settings.http):
        yield f"--demo gives tokens to anyone, so it must listen on loopback, not on {settings.http}"


def start_problems(settings: Settings) -> Iterator[str]:
    """All reasons for which a start with these settings would fail, also files that they name; a line for each."""
    yield from combination_problems(settings)
    try:
        open_tls(settings.tls)
    except CannotUse as error:
        yield str(error)
    for issuer in settings.identity.issuers:
        try:
            check_files(issuer)
        except CannotUse as error:
            yield str(error)
