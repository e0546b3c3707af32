"""What a failed attempt to connect says."""

import os
import ssl
from socket import gaierror

import aiohttp


def reason_of(error: Exception) -> str:
    """The reason why there is no connection, for users: `127.0.0.1:8080: connection refused`."""
    if isinstance(error, TimeoutError):
        return "the server does not answer"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"{error.host}:{error.port}: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        # The texts of the error and of the event loop are those of libraries.
        cause = error.os_error
        if isinstance(cause, ssl.SSLError):
            return f"{error.host}:{error.port}: {cause}"
        what = os.strerror(cause.errno) if cause.errno and not isinstance(cause, gaierror) else cause.strerror
        return f"{error.host}:{error.port}: {(what or str(cause)).lower()}"
    return str(error) or type(error).__name__


def retry_after_of(error: aiohttp.WSServerHandshakeError) -> float | None:
    value = error.headers.get("Retry-After", "") if error.headers else ""
    return float(value) if value.isdecimal() else None
