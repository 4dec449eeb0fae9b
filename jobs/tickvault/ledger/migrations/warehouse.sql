-- What dbt built, how long each node took, and what was published of it.
CREATE TABLE data_platform.builds (
    build_id     text PRIMARY KEY,
    run_id       text NOT NULL,
    target       text NOT NULL,
    slot         timestamptz NOT NULL,
    selection    text NOT NULL,
    inputs       text NOT NULL,
    status       text NOT NULL CHECK (status IN ('running', 'green', 'red')),
    started_at   timestamptz NOT NULL DEFAULT now(),
    finished_at  timestamptz
);
CREATE INDEX builds_by_time ON data_platform.builds (target, started_at);

CREATE TABLE data_platform.models (
    build_id  text NOT NULL,
    run_id    text NOT NULL,
    target    text NOT NULL,
    node      text NOT NULL,
    kind      text NOT NULL,
    status    text NOT NULL,
    seconds   double precision NOT NULL,
    rows      bigint,
    message   text,
    PRIMARY KEY (build_id, node)
);
CREATE INDEX models_by_run ON data_platform.models (run_id);

-- Of targets that keep no such table themselves. Without published_at the view may or may not show the generation yet.
CREATE TABLE data_platform.publication (
    target        text NOT NULL,
    mart          text NOT NULL,
    generation    text NOT NULL,
    slot          timestamptz NOT NULL,
    run_id        text NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    published_at  timestamptz,
    PRIMARY KEY (target, mart, generation)
);
