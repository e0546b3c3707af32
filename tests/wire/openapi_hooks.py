"""What schemathesis asks of answers beside its own checks."""

from __future__ import annotations

from typing import Any

import schemathesis

_HEAD_BYTES = 8_000


@schemathesis.check
def never_internal(_: Any, response: schemathesis.Response, __: schemathesis.Case[Any]) -> None:
    """No request, whatever is in it, is answered with a fault of the server; 503 and 504 say what to do."""
    assert response.status_code != 500, response.text


@schemathesis.check
def always_json(_: Any, response: schemathesis.Response, __: schemathesis.Case[Any]) -> None:
    """Failures are of one form, but for a request head that is too long for any route."""
    if len(response.request.url or "") <= _HEAD_BYTES:
        assert response.headers.get("content-type") == ["application/json"], response.headers
