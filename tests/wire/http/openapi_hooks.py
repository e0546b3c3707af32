"""Checks of answers in addition to those of schemathesis."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.check
def never_internal(_: Any, response: schemathesis.Response, __: schemathesis.Case[Any]) -> None:
    """No request, whatever is in it, is answered with a fault of the server; 503 and 504 say what to do."""
    assert response.status_code != 500, response.text
