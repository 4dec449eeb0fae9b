-- What each stream was when it landed: a version for every change of its columns, its key or its cursor.
CREATE TABLE data_platform.schemas (
    source         text NOT NULL,
    stream         text NOT NULL,
    version        integer NOT NULL,
    fingerprint    text NOT NULL,
    declares       jsonb NOT NULL,
    changes        text[] NOT NULL,
    since_slot     timestamptz NOT NULL,
    since_package  text NOT NULL,
    noted_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, stream, version)
);
