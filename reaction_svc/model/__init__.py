"""How the ledger decides operations on targets: pure, on state in memory."""
