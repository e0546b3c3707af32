"""P11: the store in process."""

from bench.processes import Skipped
from bench.report import Line
from bench.setup import Setup


def beside_sqlite(setup: Setup) -> list[Line]:
    raise Skipped("not yet")
