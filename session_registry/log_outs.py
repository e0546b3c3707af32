"""Which tokens of a user a log out has ended: per device, the time at or before which they were issued. No I/O."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kit.tenant_keys import UserKey
from session_registry.domain import Session
from session_registry.errors import LimitReached

MAX_DEVICES = 64


@dataclass(frozen=True, slots=True)
class LogOutRecord:
    """The log outs of one user. Times are Unix seconds; 0: none.

    `everywhere` is of the devices that are not in `devices`. From `until` on every token that the record refuses has
    expired.
    """

    everywhere: int = 0
    devices: Mapping[str, int] = field(default_factory=dict)
    until: float = 0.0

    def not_before(self, device: str) -> int:
        """A token of this device must be issued after this time."""
        return self.devices.get(device, self.everywhere)

    def with_device(self, device: str, at: int, until: float) -> LogOutRecord:
        """The record after a log out of one device. Raises LimitReached."""
        devices = {**self.devices, device: max(at, self.not_before(device))}
        if len(devices) > MAX_DEVICES:
            raise LimitReached(f"{MAX_DEVICES} devices are logged out one by one: log out all others in one call")
        return LogOutRecord(self.everywhere, devices, max(until, self.until))

    def with_all_but(self, device: str, at: int, until: float) -> LogOutRecord:
        """The record after a log out of all devices but one."""
        return LogOutRecord(max(at, self.everywhere), {device: self.not_before(device)}, max(until, self.until))

    def merged(self, other: LogOutRecord) -> LogOutRecord:
        """The record that refuses what either of two refuses."""
        return LogOutRecord(
            max(self.everywhere, other.everywhere),
            {
                device: max(self.not_before(device), other.not_before(device))
                for device in (*self.devices, *other.devices)
            },
            max(self.until, other.until),
        )


class LogOuts:
    """The records of all users."""

    def __init__(self) -> None:
        self._records: dict[UserKey, LogOutRecord] = {}

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[tuple[UserKey, LogOutRecord]]:
        return iter(list(self._records.items()))

    def of(self, user: UserKey) -> LogOutRecord:
        """The record of a user."""
        return self._records.get(user, LogOutRecord())

    def set(self, user: UserKey, record: LogOutRecord) -> None:
        """Replaces the record of a user."""
        self._records[user] = record

    def refuses(self, session: Session) -> bool:
        """Whether the token of a session was issued at or before a log out of its device.

        A token without an issue time (0) is refused by every log out; a session whose node reports none is not.
        """
        if session.issued is None or not self._records:
            return False
        record = self._records.get((session.tenant, session.user))
        return record is not None and 0 < record.not_before(session.device) >= session.issued

    def expire(self, now: float) -> tuple[UserKey, ...]:
        """Removes the records that are over at `now`, in Unix seconds; returns whose they were."""
        over = tuple(user for user, record in self._records.items() if record.until <= now)
        for user in over:
            del self._records[user]
        return over
