"""Reads a list that the server answers in pages."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]


async def pages(call: Callable[[str, Fields], Awaitable[Fields]], frame_type: str, size: int) -> AsyncIterator[Fields]:
    """The answers, to the last page. Raises PlauditError."""
    token = ""
    while True:
        answer = await call(frame_type, {"page_size": size, "page_token": token})
        yield answer
        token = str(answer.get("next_page_token") or "")
        if not token:
            return
