-- Erasures of users that are not done.
-- personal data: temporary
CREATE TABLE erasures (
  tenant text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL,
  work_ms bigint NOT NULL,             -- when a process last worked on it
  erased bigint NOT NULL DEFAULT 0,    -- how much was deleted so far
  PRIMARY KEY (tenant, user_id)
);
