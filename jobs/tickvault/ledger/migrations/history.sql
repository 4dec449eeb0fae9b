-- What a run asks of the past must not cost more because the past is long: each question that was answered by reading
-- all packages or loads is answered by a row that is kept while they are written. Triggers keep it, so that it is right
-- whoever writes, a sink in its own transaction or a person.

-- Where each stream is resumed: of every entry the one of the latest slot and revision.
CREATE TABLE data_platform.cursors (
    source           text NOT NULL,
    stream           text NOT NULL,
    slot             timestamptz NOT NULL,
    revision         integer NOT NULL,
    cursor           jsonb NOT NULL,
    versions         jsonb NOT NULL,
    watermark_column text,
    watermark_value  text,
    PRIMARY KEY (source, stream)
);

CREATE FUNCTION data_platform.cursor_version(slot timestamptz, revision integer) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISS') || lpad(revision::text, 9, '0')
$$;

CREATE FUNCTION data_platform.keep_cursor() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    new_version text := data_platform.cursor_version(NEW.slot, NEW.revision);
BEGIN
    INSERT INTO data_platform.cursors AS c
    SELECT NEW.source, NEW.stream, NEW.slot, NEW.revision, NEW.cursor,
        (SELECT jsonb_object_agg(key, new_version) FROM jsonb_object_keys(NEW.cursor) key),
        NEW.watermark_column, NEW.watermark_value
    ON CONFLICT (source, stream) DO UPDATE SET
        cursor = c.cursor || (
            SELECT coalesce(jsonb_object_agg(key, value), '{}') FROM jsonb_each(NEW.cursor)
            WHERE new_version >= coalesce(c.versions ->> key, '')),
        versions = c.versions || (
            SELECT coalesce(jsonb_object_agg(key, new_version), '{}') FROM jsonb_object_keys(NEW.cursor) key
            WHERE new_version >= coalesce(c.versions ->> key, '')),
        slot = greatest(c.slot, NEW.slot),
        revision = CASE WHEN (NEW.slot, NEW.revision) >= (c.slot, c.revision) THEN NEW.revision ELSE c.revision END,
        watermark_column = CASE WHEN (NEW.slot, NEW.revision) >= (c.slot, c.revision)
            THEN NEW.watermark_column ELSE c.watermark_column END,
        watermark_value = CASE WHEN (NEW.slot, NEW.revision) >= (c.slot, c.revision)
            THEN NEW.watermark_value ELSE c.watermark_value END;
    RETURN NULL;
END $$;

CREATE TRIGGER keep_cursor AFTER INSERT ON data_platform.packages
FOR EACH ROW WHEN (NEW.cursor IS NOT NULL AND NEW.cursor <> '{}') EXECUTE FUNCTION data_platform.keep_cursor();

INSERT INTO data_platform.cursors
SELECT p.source, p.stream, latest.slot, latest.revision,
    jsonb_object_agg(e.key, e.value ORDER BY p.slot, p.revision),
    jsonb_object_agg(e.key, data_platform.cursor_version(p.slot, p.revision) ORDER BY p.slot, p.revision),
    latest.watermark_column, latest.watermark_value
FROM data_platform.packages p
CROSS JOIN LATERAL jsonb_each(p.cursor) e
JOIN (
    SELECT DISTINCT ON (source, stream) source, stream, slot, revision, watermark_column, watermark_value
    FROM data_platform.packages WHERE cursor IS NOT NULL AND cursor <> '{}'
    ORDER BY source, stream, slot DESC, revision DESC
) latest ON latest.source = p.source AND latest.stream = p.stream
WHERE p.cursor IS NOT NULL
GROUP BY p.source, p.stream, latest.slot, latest.revision, latest.watermark_column, latest.watermark_value;

CREATE OR REPLACE VIEW data_platform.watermarks AS
SELECT source || '.' || stream AS source_name, watermark_column, watermark_value FROM data_platform.cursors;

-- How much each target has loaded of each stream, and a hash over it that does not depend on the order. Loads of one
-- stream into one target wait for each other anyway, so nobody waits for such a row.
CREATE TABLE data_platform.load_totals (
    sink    text NOT NULL,
    target  text NOT NULL,
    stream  text NOT NULL,
    loads   bigint NOT NULL,
    digest  numeric NOT NULL,
    PRIMARY KEY (sink, target, stream)
);

-- What a target has not loaded: packages noted since settled_until, and of those before it the ones in backlog.
-- surplus is what a target held beyond this ledger's word when the two were last compared.
CREATE TABLE data_platform.deliveries (
    sink           text NOT NULL,
    target         text NOT NULL,
    settled_until  timestamptz NOT NULL,
    surplus        bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sink, target)
);
CREATE TABLE data_platform.backlog (
    sink        text NOT NULL,
    target      text NOT NULL,
    package_id  text NOT NULL,
    PRIMARY KEY (sink, target, package_id)
);

CREATE FUNCTION data_platform.load_digest(package_id text, target text, loaded_at timestamptz) RETURNS numeric
LANGUAGE sql STABLE AS $$
    SELECT hashtextextended(concat_ws(' ', package_id, target, extract(epoch FROM loaded_at)), 0)::numeric
$$;

-- One row per statement and total, not one per load: a target that was switched moves all its loads in one statement.
CREATE FUNCTION data_platform.add_loads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO data_platform.load_totals AS t
    SELECT sink, coalesce(target, ''), stream, count(*),
        sum(data_platform.load_digest(package_id, target, loaded_at))
    FROM added GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    ON CONFLICT (sink, target, stream) DO UPDATE SET loads = t.loads + EXCLUDED.loads,
        digest = t.digest + EXCLUDED.digest;
    RETURN NULL;
END $$;

CREATE FUNCTION data_platform.remove_loads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE data_platform.load_totals t SET loads = t.loads - gone.loads, digest = t.digest - gone.digest
    FROM (
        SELECT sink, coalesce(target, '') AS target, stream, count(*) AS loads,
            sum(data_platform.load_digest(package_id, removed.target, loaded_at)) AS digest
        FROM removed GROUP BY 1, 2, 3
    ) gone WHERE (t.sink, t.target, t.stream) = (gone.sink, gone.target, gone.stream);
    -- Taken back: it is due again.
    INSERT INTO data_platform.backlog SELECT sink, coalesce(target, ''), package_id FROM removed ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION data_platform.move_loads() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- What a load counted is noted by an update, too, and moves nothing.
    IF NOT EXISTS (
        SELECT FROM removed r JOIN added a USING (package_id, sink)
        WHERE (r.target, r.loaded_at) IS DISTINCT FROM (a.target, a.loaded_at)
    ) THEN
        RETURN NULL;
    END IF;
    UPDATE data_platform.load_totals t SET loads = t.loads + moved.loads, digest = t.digest + moved.digest
    FROM (
        SELECT sink, coalesce(target, '') AS target, stream, sum(n) AS loads,
            sum(n * data_platform.load_digest(package_id, c.target, loaded_at)) AS digest
        FROM (SELECT *, -1 AS n FROM removed UNION ALL SELECT *, 1 FROM added) c GROUP BY 1, 2, 3
    ) moved WHERE (t.sink, t.target, t.stream) = (moved.sink, moved.target, moved.stream);
    INSERT INTO data_platform.load_totals
    SELECT sink, coalesce(target, ''), stream, count(*),
        sum(data_platform.load_digest(package_id, target, loaded_at))
    FROM added GROUP BY 1, 2, 3
    ON CONFLICT DO NOTHING;
    INSERT INTO data_platform.backlog
    SELECT r.sink, coalesce(r.target, ''), r.package_id FROM removed r JOIN added a USING (package_id, sink)
    WHERE r.target IS DISTINCT FROM a.target
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER add_loads AFTER INSERT ON data_platform.loads
REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION data_platform.add_loads();
CREATE TRIGGER remove_loads AFTER DELETE ON data_platform.loads
REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION data_platform.remove_loads();
CREATE TRIGGER move_loads AFTER UPDATE ON data_platform.loads
REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION data_platform.move_loads();

CREATE FUNCTION data_platform.forget_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM data_platform.load_totals;
    DELETE FROM data_platform.deliveries;
    DELETE FROM data_platform.backlog;
    RETURN NULL;
END $$;

CREATE TRIGGER forget_deliveries AFTER TRUNCATE ON data_platform.loads
FOR EACH STATEMENT EXECUTE FUNCTION data_platform.forget_deliveries();

INSERT INTO data_platform.load_totals
SELECT sink, coalesce(target, ''), stream, count(*),
    sum(data_platform.load_digest(package_id, target, loaded_at))
FROM data_platform.loads GROUP BY 1, 2, 3;

-- When the ledger came to know a package, by its own clock; landed_at is the writer's, and may be long before.
ALTER TABLE data_platform.packages ADD COLUMN registered_at timestamptz NOT NULL DEFAULT now();

CREATE INDEX packages_by_registration ON data_platform.packages (registered_at);
CREATE INDEX packages_by_landing ON data_platform.packages (landed_at);
CREATE INDEX runs_by_start ON data_platform.runs (started_at);
CREATE INDEX runs_under_way ON data_platform.runs (started_at) WHERE status = 'running';
CREATE INDEX runs_by_job ON data_platform.runs (job, started_at);
CREATE INDEX runs_by_id ON data_platform.runs (run_id text_pattern_ops);
CREATE INDEX rejects_by_time ON data_platform.rejects (created_at);
CREATE INDEX publication_by_time ON data_platform.publication (target, mart, recorded_at);
