"""The OpenAPI document: schemathesis makes requests that fit it and that do not, and judges the answers by it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, Stack

CHECKS = (
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
    "never_internal",
)
# More examples find more and take longer; with these numbers all operations take less than a minute.
EXAMPLES = "12"
SEED = "20"


@pytest.fixture(name="open_stack", scope="module")
def fixture_open_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack without rate limits, which soon gives up waiting for versions."""
    settings = {
        "REACTION__CHANGES_PER_SECOND": "0",
        "COUNTER__WAIT_SECONDS": "0.05",
        "GATEWAY__CALL_TIMEOUT": "1",
    }
    with Stack(tmp_path_factory.mktemp("openapi") / "data", **settings) as stack:
        yield stack


@pytest.mark.timeout(300)
def test_the_gateway_conforms_to_its_openapi_document(open_stack: Stack, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            "run",
            f"{open_stack.http_url}/openapi.json",
            *("--header", f"Authorization: Bearer {open_stack.token('alice')}"),
            *("--checks", ",".join(CHECKS)),
            *("--phases", "examples,coverage,fuzzing"),
            *("--max-examples", EXAMPLES),
            *("--seed", SEED),
            *("--generation-database", ":memory:"),
            *("--request-timeout", "10"),
            "--no-color",
        ],
        cwd=tmp_path,
        env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.wire.http.openapi_hooks", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
