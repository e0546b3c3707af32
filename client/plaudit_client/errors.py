"""The error of the client, and the meaning of close codes."""

from dataclasses import dataclass

TERMINAL_CLOSES: dict[int, tuple[str, str]] = {
    4500: ("UNAUTHENTICATED", "BAD_TOKEN"),
    4501: ("PERMISSION_DENIED", "FORBIDDEN"),
    4502: ("INVALID_ARGUMENT", "BAD_FRAME"),
    4503: ("RESOURCE_EXHAUSTED", "LIMIT"),
    4504: ("ABORTED", "REPLACED"),
    4505: ("UNAUTHENTICATED", "ENDED"),
}
NO_CLOSE = 1006
BAD_TOKEN = 4500
EXPIRED = "TOKEN_EXPIRED"
"""The reason of a close with 4500 after which a new token helps."""
TOKEN_MESSAGES = {
    EXPIRED: "the token has expired",
    "TOKEN_REVOKED": "the token was revoked",
    "INVALID_TOKEN": "the token is missing or not valid",
}
"""A sentence about the token, by the reason of a close with 4500."""
TERMINAL_STATUSES: dict[int, tuple[str, str]] = {
    400: ("INVALID_ARGUMENT", "BAD_HANDSHAKE"),
    401: ("UNAUTHENTICATED", "BAD_TOKEN"),
    403: ("PERMISSION_DENIED", "FORBIDDEN"),
    404: ("NOT_FOUND", "NO_SUCH_PATH"),
    426: ("FAILED_PRECONDITION", "BAD_HANDSHAKE"),
    431: ("INVALID_ARGUMENT", "BAD_HANDSHAKE"),
}


class PlauditError(Exception):
    """A call, a subscription or the connection failed.

    `code` is the name of a gRPC code (`RESOURCE_EXHAUSTED`), `reason` distinguishes its cases (`RATE_LIMITED`), `field`
    names the request field at fault, and `retry_after` is in seconds, None where the server has not sent it.
    """

    def __init__(
        self, code: str, reason: str, message: str, *, retry_after: float | None = None, field: str = ""
    ) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.field = field


@dataclass(frozen=True, slots=True)
class Loss:
    """How a socket ended: a close code (1006: no close frame), or the HTTP status of a refused handshake."""

    code: int = NO_CLOSE
    reason: str = ""
    status: int = 0
    retry_after: float | None = None

    def __str__(self) -> str:
        """For users: the reason, with the status or the close code if there is one."""
        given = f"status {self.status}" if self.status else f"close code {self.code}" if self.code != NO_CLOSE else ""
        return " ".join([self.reason or "the connection broke", *([f"({given})"] if given else [])])

    @property
    def has_expired(self) -> bool:
        """Whether the token has ended."""
        return self.code == BAD_TOKEN and self.reason == EXPIRED

    def terminal(self) -> PlauditError | None:
        """The error that ends the client; None where connecting again can help."""
        if self.status:
            kind = TERMINAL_STATUSES.get(self.status)
            return PlauditError(*kind, self.reason or f"handshake refused with {self.status}") if kind else None
        if 4500 <= self.code <= 4999:
            code, reason = TERMINAL_CLOSES.get(self.code, ("FAILED_PRECONDITION", f"CLOSED_{self.code}"))
            if self.code == BAD_TOKEN and self.reason in TOKEN_MESSAGES:
                return PlauditError(code, self.reason, TOKEN_MESSAGES[self.reason])
            return PlauditError(code, reason, self.reason or f"closed with {self.code}")
        return None
