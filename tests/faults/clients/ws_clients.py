"""WebSocket clients that change reactions and receive pushes of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.faults.clients.grpc_clients import Change, Reply
from tests.faults.clients.sockets import Frame, SocketClient


class WsClient(SocketClient):
    """A device that changes reactions; records everything it receives in the history."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.last_counts: dict[str, tuple[int, dict[str, int]]] = {}
        """The last counts pushed in the current session, by topic."""

    async def change(self, change: Change) -> Reply | None:
        """Makes one attempt over the socket; None without a socket."""
        if change.action == "clear":
            fields: Frame = {"type": "clear_reactions"}
        elif change.action == "toggle":
            fields = {"type": "toggle_reaction", "emoji": change.emoji}
        else:
            fields = {"type": "set_reaction", "emoji": change.emoji, "on": change.action == "add"}
        return await self._attempt(change, {**fields, "target": change.target, "op_id": change.op_id})

    async def on_new_session(self, connection: str) -> None:
        self.last_counts.clear()
        await self._subscribe(connection)

    def on_push(self, frame: Frame, connection: str) -> None:
        self._is_next(frame)
        self._recorder.write(
            self.name, "push", str(frame["type"]),
            args={"tenant": self.tenant}, result=frame, connection=connection, position=self._pushes,
        )  # fmt: skip
        if frame["type"] == "reaction_update":
            counts = {str(one["emoji"]): int(one["count"]) for one in frame.get("reactions") or ()}
            topic, version = str(frame["topic"]), int(frame["version"])
            self.last_counts[topic] = (version, counts)
            self._versions[topic] = max(version, self._versions.get(topic, 0))

    def _result_of(self, frame: Frame) -> Mapping[str, Any]:
        return {"on": bool(frame.get("on", False)), "version": int(frame["version"])}
