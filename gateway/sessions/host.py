"""What a connection needs of the node that hosts it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from gateway.config import Config
from gateway.fanout.hub import Hub
from gateway.frames.frame import RenewToken, Resume
from gateway.ports import Calls
from gateway.sessions.device_acks import DeviceAcks
from gateway.sessions.frame_codec import SessionFrames
from gateway.sessions.replay_buffer import ReplayBuffer
from kit.limits.budget import Budgets

_Connection = TypeVar("_Connection", contravariant=True)


class ConnectionHost(Protocol[_Connection]):
    """A node, as its connections see it."""

    config: Config
    calls: Calls
    budgets: Budgets
    hub: Hub
    device_acks: DeviceAcks
    session_frames: SessionFrames

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def connection_opened(self, connection: _Connection) -> None:
        """The socket of a connection is open."""
        ...

    def connection_closed(self, connection: _Connection, code: int) -> None:
        """The socket of a connection has closed."""
        ...

    def is_open(self, connection: _Connection) -> bool:
        """Whether the socket of a connection is open."""
        ...

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a task in the background, which must not fail."""
        ...

    def open_session(self, connection: _Connection, device: str) -> None:
        """Opens a new session on a connection."""
        ...

    def resume(self, connection: _Connection, frame: Resume) -> None:
        """Continues a session on a connection, and answers the frame."""
        ...

    def start_backlog(self, connection: _Connection) -> None:
        """Pushes to a new session what its device has not received."""
        ...

    def renew_token(self, connection: _Connection, frame: RenewToken) -> None:
        """Replaces the token of a connection, and answers the frame."""
        ...

    def new_replay_buffer(self) -> ReplayBuffer:
        """A buffer for the durable pushes of a new session."""
        ...

    def schedule(self, connection: _Connection) -> None:
        """Calls `Session.tick` of the connection when it is due."""
        ...

    def flush_later(self, connection: _Connection) -> None:
        """Flushes the connection at the end of this iteration of the event loop."""
        ...
