"""`python -m tests.faults.buggy NAME up …`: the `plaudit` command with a bug planted in it, or a moment to die at."""

from __future__ import annotations

import sys

from tests.faults.buggy import plant

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        plant(name)
    from stack.cli import main

    main()
