"""The tokens of a client: one string, or what a callable returns."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable

Token = str | Callable[[], str | Awaitable[str]]


class TokenSource:
    """Loads tokens; `last`: the one that was used last."""

    def __init__(self, token: Token, timeout: float) -> None:
        """`timeout`: how long the callable may take, in seconds."""
        self._token = token
        self._timeout = timeout
        self.last = ""

    @property
    def can_renew(self) -> bool:
        """Whether there can be another token."""
        return not isinstance(self._token, str)

    async def load(self) -> str:
        """Returns a token. Raises TimeoutError, or what the callable raises."""
        if isinstance(self._token, str):
            return self._token
        async with asyncio.timeout(self._timeout):
            token = self._token()
            return await token if inspect.isawaitable(token) else token
