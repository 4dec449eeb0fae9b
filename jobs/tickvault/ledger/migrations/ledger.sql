-- The ledger: what ran, what it landed, where it was loaded. One schema, in each PostgreSQL target's own database,
-- so that one transaction spans a package's rows and the row that says they are there.
CREATE TABLE data_platform.runs (
    run_id          text PRIMARY KEY,
    job             text NOT NULL,
    slot            timestamptz NOT NULL,
    job_name        text,
    status          text NOT NULL CHECK (status IN ('running', 'complete', 'partial', 'failed', 'interrupted')),
    attempts        integer NOT NULL DEFAULT 1,
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    exit_code       integer,
    rows_read       bigint NOT NULL DEFAULT 0,
    rows_loaded     bigint NOT NULL DEFAULT 0,
    rows_unchanged  bigint NOT NULL DEFAULT 0,
    rows_rejected   bigint NOT NULL DEFAULT 0,
    outcome         jsonb NOT NULL DEFAULT '{}',
    log_uri         text,
    UNIQUE (job, slot)
);
CREATE INDEX runs_by_job_name ON data_platform.runs (job_name);

CREATE TABLE data_platform.packages (
    package_id       text PRIMARY KEY,
    source           text NOT NULL,
    stream           text NOT NULL,
    slot             timestamptz NOT NULL,
    revision         integer NOT NULL,
    rows             bigint NOT NULL,
    rejected         bigint NOT NULL,
    manifest_key     text NOT NULL,
    cursor           jsonb,
    watermark_column text,
    watermark_value  text,
    outcomes         jsonb NOT NULL DEFAULT '[]',
    run_id           text NOT NULL,
    landed_at        timestamptz NOT NULL,
    UNIQUE (source, stream, slot, revision)
);

CREATE TABLE data_platform.loads (
    package_id       text NOT NULL,
    sink             text NOT NULL,
    source           text NOT NULL,
    stream           text NOT NULL,
    slot             timestamptz NOT NULL,
    run_id           text NOT NULL,
    rows_read        bigint NOT NULL DEFAULT 0,
    rows_inserted    bigint NOT NULL DEFAULT 0,
    rows_updated     bigint NOT NULL DEFAULT 0,
    rows_unchanged   bigint NOT NULL DEFAULT 0,
    rows_superseded  bigint NOT NULL DEFAULT 0,
    rows_duplicate   bigint NOT NULL DEFAULT 0,
    rows_rejected    bigint NOT NULL DEFAULT 0,
    loaded_at        timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package_id, sink)
);
CREATE INDEX loads_by_time ON data_platform.loads (sink, loaded_at);

CREATE TABLE data_platform.rejects (
    package_id  text NOT NULL,
    ordinal     integer NOT NULL,
    source      text NOT NULL,
    stream      text NOT NULL,
    slot        timestamptz NOT NULL,
    item        text NOT NULL,
    column_name text NOT NULL,
    reason      text NOT NULL,
    record      jsonb NOT NULL,
    replayed_by text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (package_id, ordinal)
);
CREATE INDEX rejects_open ON data_platform.rejects (stream, slot) WHERE replayed_by IS NULL;

CREATE TABLE data_platform.stream_offsets (
    sink           text NOT NULL,
    topic          text NOT NULL,
    partition      integer NOT NULL,
    next_offset    bigint NOT NULL,
    updated_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (sink, topic, partition)
);

CREATE TABLE data_platform.alert_history (
    alert_id     text PRIMARY KEY,
    name         text NOT NULL,
    severity     text NOT NULL,
    status       text NOT NULL,
    summary      text NOT NULL,
    labels       jsonb NOT NULL DEFAULT '{}',
    started_at   timestamptz NOT NULL,
    ended_at     timestamptz,
    received_at  timestamptz NOT NULL DEFAULT now()
);

-- A watermark is nothing but the cursor of the latest package that landed: it cannot drift from the data.
CREATE VIEW data_platform.watermarks AS
SELECT DISTINCT ON (source, stream)
    source || '.' || stream AS source_name,
    watermark_column,
    watermark_value
FROM data_platform.packages
WHERE cursor IS NOT NULL
ORDER BY source, stream, slot DESC, revision DESC;
