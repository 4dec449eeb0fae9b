-- What a target's tables were when a load last left them: the next load compares, before it adds to a table that lost
-- something. rows_accepted: rows whose loss somebody has accepted. lost: what is missing, until it is loaded again.
CREATE TABLE data_platform.holdings (
    sink           text NOT NULL,
    target         text NOT NULL,
    stream         text NOT NULL,
    table_name     text NOT NULL,
    columns        text[] NOT NULL,
    identity       text NOT NULL,
    counted_at     timestamptz NOT NULL DEFAULT now(),
    rows_accepted  bigint NOT NULL DEFAULT 0,
    lost           text,
    PRIMARY KEY (sink, target, stream)
);
