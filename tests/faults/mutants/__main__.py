"""`python -m tests.faults.mutants NAME[,NAME] up …`: the `plaudit` command with planted bugs or a crash point."""

from __future__ import annotations

import sys

from tests.faults.mutants import activate

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        activate(name)
    from stack.cli import main

    main()
