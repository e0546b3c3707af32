"""The API for applications."""

from collections.abc import AsyncIterator, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from plaudit_client import values
from plaudit_client.account import Account
from plaudit_client.connection import Connection
from plaudit_client.conversations.backlog import HeldPushes
from plaudit_client.conversations.conversations import Conversations
from plaudit_client.errors import PlauditError
from plaudit_client.ids import new_op_id
from plaudit_client.options import Options
from plaudit_client.subscription import Subscription
from plaudit_client.token_source import Token
from plaudit_client.values import Outcome, OwnReactions, OwnUpdate, Reactor, TargetCounts, Update

CLIENT_NAME = "plaudit-python/0.1"


@asynccontextmanager
async def connect(
    url: str | Sequence[str],
    token: Token,
    *,
    device: str = "",
    backlog: bool = False,
    timeout: float = 10.0,
    options: Options | None = None,
) -> AsyncIterator["Client"]:
    """A client whose session lasts as long as the block, over as many sockets as that takes.

    `url` is `ws://host:port` or `wss://…`, or several of them, tried in turn; without a path, `/ws/connect`. A callable
    token, which may be asynchronous, is called before each socket and shortly before the token ends, so that the client
    can continue; a string is used until it expires. An exception of the callable ends the client if there was no
    session yet; later the callable is called again, unless it raises PlauditError.
    A later login of the same `device` ends this client with ABORTED, reason `REPLACED`; without one the device is new.
    With `backlog`, which needs a `device`, the server pushes the messages that the device has not received. They are
    acknowledged, and delivered for their senders, once `Client.conversations` has taken them.
    Raises PlauditError: UNAVAILABLE, reason `NOT_CONNECTED`, where the server cannot be reached within `timeout`
    seconds, or the error with which it refuses.
    """
    options = options or Options()
    urls = [_with_path(each) for each in ([url] if isinstance(url, str) else url)]
    if not urls:
        raise PlauditError("INVALID_ARGUMENT", "INVALID_URL", "there is no URL")
    if backlog and not device:
        raise PlauditError("INVALID_ARGUMENT", "NO_DEVICE", "a backlog is that of a device", field="device")
    hello = {"device": device, "client": CLIENT_NAME, **({"backlog": True} if backlog else {})}
    connection = Connection(urls, token, hello, options)
    held = HeldPushes() if backlog else None
    try:
        if held is not None:
            connection.hold_pushes(held)
        await connection.start(timeout)
        yield Client(connection, options, held)
    finally:
        await connection.close()


class Client:
    """One user's session. Made by `connect`.

    A change gets an operation id and is sent again with it after a lost socket, until its `timeout` (seconds), so it
    takes effect once. All methods raise PlauditError. DEADLINE_EXCEEDED with reason `OUTCOME_UNKNOWN` means that a
    change may have taken effect: repeating it with the same `op_id` returns its answer. Above the rate limit a change
    fails with RESOURCE_EXHAUSTED, reason `RATE_LIMITED`; with `wait_for_rate_limit` it waits instead, as long as its
    timeout allows. Reads always wait."""

    def __init__(self, connection: Connection, options: Options, held: HeldPushes | None = None) -> None:
        """`held`: what is pushed while no conversations are kept."""
        self._connection = connection
        self._options = options
        self._held = held

    @property
    def user(self) -> str:
        """The id of the user, from the token."""
        return self._connection.welcome.user

    @property
    def account(self) -> Account:
        """Devices that are logged in, blocked users and preferences."""
        return Account(
            lambda frame_type, fields: self.call(frame_type, repeat=True, wait_for_rate_limit=True, **fields)
        )

    @property
    def node(self) -> str:
        """The id of the gateway node of the session."""
        return self._connection.welcome.node

    @property
    def session(self) -> str:
        """The id of the session: the same over all sockets, as long as the server can resume it."""
        return self._connection.welcome.session

    @property
    def verdict(self) -> str:
        """The result of the last reconnection for the session; empty before the first one.

        `complete`: nothing was missed. `partial`: own changes from other devices may have been missed, so own reactions
        were loaded again (see `Subscription.missed`). `reset`: as `partial`, and the session is a new one.
        """
        return self._connection.verdict

    async def toggle(
        self,
        target: str,
        emoji: str,
        *,
        op_id: str = "",
        timeout: float | None = None,
        wait_for_rate_limit: bool = False,
    ) -> Outcome:
        """Adds the reaction if absent, removes it if present."""
        fields: dict[str, Any] = {"target": target, "emoji": emoji, "op_id": op_id or new_op_id()}
        return values.outcome(
            await self.call("toggle_reaction", timeout=timeout, wait_for_rate_limit=wait_for_rate_limit, **fields)
        )

    async def set(
        self,
        target: str,
        emoji: str,
        on: bool = True,
        *,
        op_id: str = "",
        timeout: float | None = None,
        wait_for_rate_limit: bool = False,
    ) -> Outcome:
        """Makes the reaction present or absent."""
        fields: dict[str, Any] = {"target": target, "emoji": emoji, "on": on, "op_id": op_id or new_op_id()}
        return values.outcome(
            await self.call("set_reaction", timeout=timeout, wait_for_rate_limit=wait_for_rate_limit, **fields)
        )

    async def clear(
        self,
        target: str,
        emoji: str = "",
        *,
        op_id: str = "",
        timeout: float | None = None,
        wait_for_rate_limit: bool = False,
    ) -> Outcome:
        """Removes all own reactions on the target, or the given one."""
        fields: dict[str, Any] = {"target": target, "emoji": emoji, "op_id": op_id or new_op_id()}
        return values.outcome(
            await self.call("clear_reactions", timeout=timeout, wait_for_rate_limit=wait_for_rate_limit, **fields)
        )

    async def own(self, *targets: str, timeout: float | None = None) -> list[OwnReactions]:
        """The own reactions on up to 1,000 targets, in their order, without those that the user may not see."""
        return values.own(
            await self.call(
                "get_own_reactions", timeout=timeout, repeat=True, wait_for_rate_limit=True, targets=targets
            )
        )

    async def counts(
        self, *targets: str, min_versions: Mapping[str, int] | None = None, timeout: float | None = None
    ) -> list[TargetCounts]:
        """The counts of up to 1,000 targets, in their order, without those that the user may not see; with
        `min_versions`, at these versions or later."""
        fields: dict[str, Any] = {"targets": targets}
        if min_versions:
            fields["min_versions"] = [str(min_versions.get(target, 0)) for target in targets]
        return values.counts(
            await self.call("get_counts", timeout=timeout, repeat=True, wait_for_rate_limit=True, **fields)
        )

    async def reactors(
        self, target: str, emoji: str = "", *, page_size: int = 20, timeout: float | None = None
    ) -> AsyncIterator[Reactor]:
        """All reactors, latest first, fetched page by page; `timeout` is for each page."""
        token = ""
        while True:
            fields: dict[str, Any] = {"target": target, "emoji": emoji, "page_size": page_size, "page_token": token}
            page, token = values.reactors(
                await self.call("list_reactors", timeout=timeout, repeat=True, wait_for_rate_limit=True, **fields)
            )
            for reactor in page:
                yield reactor
            if not token:
                return

    async def call(
        self,
        frame_type: str,
        /,
        *,
        timeout: float | None = None,
        repeat: bool | None = None,
        wait_for_rate_limit: bool = False,
        **fields: Any,
    ) -> Mapping[str, Any]:
        """Calls any rpc that has a frame type; returns the fields of its answer.

        `repeat`: the call is idempotent; by default true where the fields have an `op_id`. Otherwise a socket lost
        before the answer is UNAVAILABLE, reason `OUTCOME_UNKNOWN`.
        """
        return await self._connection.call(
            frame_type,
            fields,
            timeout=self._options.call_timeout if timeout is None else timeout,
            repeat=bool(fields.get("op_id")) if repeat is None else repeat,
            wait_for_rate_limit=wait_for_rate_limit,
        )

    def subscribe(self, *targets: str) -> Subscription[Update]:
        """The counts of targets: the known ones at once, then each change."""
        if any(target.startswith("users/") for target in targets):
            raise PlauditError(
                "INVALID_ARGUMENT", "INVALID_TARGET", "own_updates() is for topics of users", field="targets"
            )
        return self._connection.subscribe(
            Subscription[Update](targets, self._options.max_waiting_updates, self._connection.release)
        )

    def own_updates(self) -> Subscription[OwnUpdate]:
        """Own changes from all devices, each change once and in order; see `Subscription.missed`."""
        return self._connection.subscribe(
            Subscription[OwnUpdate]([f"users/{self.user}"], self._options.max_waiting_updates, self._connection.release)
        )

    @asynccontextmanager
    async def conversations(self, storage: MutableMapping[str, str] | None = None) -> AsyncIterator[Conversations]:
        """The user's conversations, kept up to date until the block ends.

        `storage` keeps messages that the server has not accepted over a restart of the program, for example a `shelve`.
        """
        conversations = Conversations(self._connection, self._options, storage, self._held)
        try:
            await conversations.start()
            yield conversations
        finally:
            await conversations.close()


def _with_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise PlauditError("INVALID_ARGUMENT", "INVALID_URL", f"not a ws:// or wss:// URL: {url}")
    return urlunsplit(parts._replace(path="/ws/connect")) if parts.path in ("", "/") else url
