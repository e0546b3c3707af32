"""Which tests run in the same process, where they run in several (`pytest --numprocesses`)."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests.running import ROOT

_HELPER = re.compile(r"^from (tests\.(?:[a-z_]+\.)+[a-z_]+) import", re.MULTILINE)
_USES_ENGINES = ("from tests.engines import", "from tests import engines")


class ByFileAndEngines(LoadScopeScheduling):  # type: ignore[misc]
    """Runs the tests of a file in one process, and all files that use real engines in one.

    So the servers of a file, and the engines of all, are started once.
    """

    def __init__(self, config: Any, log: Any = None) -> None:
        super().__init__(config, log)
        self.file_scope = cache(_scope)

    def _split_scope(self, nodeid: str) -> str:
        return self.file_scope(nodeid.partition("::")[0])


def _scope(file: str) -> str:
    text = (ROOT / file).read_text("utf-8")
    helpers = [ROOT / f"{name.replace('.', '/')}.py" for name in _HELPER.findall(text)]
    texts = [text, *(helper.read_text("utf-8") for helper in helpers if helper.is_file())]
    return "engines" if any(line in one for one in texts for line in _USES_ENGINES) else file
