"""A protocol under a manual clock, with what it asked for."""

import json
from typing import Any, TypeVar

from plaudit_client import effects as fx
from plaudit_client.errors import Loss
from plaudit_client.options import Options
from plaudit_client.protocol import Protocol

E = TypeVar("E")
WELCOME = {
    "session": "s1",
    "user": "alice",
    "node": "n1",
    "heartbeat_seconds": 30,
    "limits": {"message_bytes": 65536, "topics": 128, "frames_per_second": 200, "calls_in_flight": 4},
    "server_time_ms": "1",
    "resume_token": "t1",
    "resume_window_seconds": 120,
}


class ProtocolDriver:
    """Feeds the protocol and keeps the effects; `random` is always 1, so waits are as long as they can be."""

    def __init__(self, *, can_renew: bool = False, **options: Any) -> None:
        self.now = 1000.0
        self.protocol = Protocol(
            {"device": "d", "client": "test"}, Options(**options), lambda: 1.0, can_renew=can_renew
        )
        self.effects: list[fx.Effect] = []

    def take(self, kind: type[E]) -> list[E]:
        """The effects of a kind since the last take of it."""
        found: list[E] = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return found

    def sent(self, frame_type: str = "") -> list[dict[str, Any]]:
        """The frames sent since the last look, of a type; others are forgotten."""
        frames = [json.loads(effect.text) for effect in self.take(fx.Send)]
        return [frame for frame in frames if frame_type in ("", frame["type"])]

    def start(self) -> "ProtocolDriver":
        self.effects += self.protocol.start()
        return self

    def open(self) -> "ProtocolDriver":
        self.effects += self.protocol.opened(self.now)
        return self

    def receive(self, frame_type: str, **fields: Any) -> "ProtocolDriver":
        self.effects += self.protocol.received(json.dumps({"type": frame_type, **fields}), self.now)
        return self

    def receive_text(self, text: str) -> "ProtocolDriver":
        self.effects += self.protocol.received(text, self.now)
        return self

    def welcome(self, **changes: Any) -> "ProtocolDriver":
        return self.receive("welcome", id=1, **{**WELCOME, **changes})

    def ready(self) -> "ProtocolDriver":
        """Connected and welcomed, with nothing left to look at."""
        self.start().open().welcome().effects.clear()
        return self

    def again(self) -> "ProtocolDriver":
        """Waits out the backoff and is welcomed on a new socket."""
        self.run_until(fx.Dial)
        return self.open().welcome()

    def lose(self, code: int = 1006, **more: Any) -> "ProtocolDriver":
        self.take(fx.Dial)  # of this socket
        self.effects += self.protocol.lost(Loss(code, **more), self.now)
        return self

    def wait(self, seconds: float) -> "ProtocolDriver":
        """Time passes, with a tick whenever the protocol wants one."""
        end = self.now + seconds
        while (due := self.protocol.wakeup()) is not None and due <= end:
            self.now = max(self.now, due)
            self.effects += self.protocol.tick(self.now)
        self.now = end
        return self

    def run_until(self, kind: type[Any]) -> float:
        """Time passes until an effect of the kind; returns how long that took."""
        began = self.now
        while not self.take(kind):
            due = self.protocol.wakeup()
            assert due is not None, f"no {kind.__name__} will ever come"
            self.now = max(self.now, due)
            self.effects += self.protocol.tick(self.now)
        return self.now - began

    def call(
        self, timeout: float = 10, *, repeat: bool = True, wait_for_rate_limit: bool = False, **fields: Any
    ) -> int:
        call_id, effects = self.protocol.call(
            "toggle_reaction", fields, self.now + timeout, repeat=repeat, wait_for_rate_limit=wait_for_rate_limit
        )
        self.effects += effects
        return call_id

    def subscribe(self, *topics: str) -> "ProtocolDriver":
        self.effects += self.protocol.subscribe(topics)
        return self

    def unsubscribe(self, *topics: str) -> "ProtocolDriver":
        self.effects += self.protocol.unsubscribe(topics)
        return self

    def update(self, topic: str, version: int) -> "ProtocolDriver":
        return self.receive("reaction_update", topic=topic, version=str(version), reactions=[], storm=False, recent=[])
