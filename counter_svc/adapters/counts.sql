-- Counts of reactions, folded from the reaction log up to `folded.position`; both are written in one transaction.
-- `reactions` is a JSON object of emoji and people.
CREATE TABLE counts (
    tenant TEXT NOT NULL,
    target TEXT NOT NULL,
    version INTEGER NOT NULL,
    reactions TEXT NOT NULL,
    PRIMARY KEY (tenant, target)
) STRICT, WITHOUT ROWID;

CREATE TABLE folded (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    position INTEGER NOT NULL
) STRICT;

INSERT INTO folded VALUES (1, 0);
