"""``tickvault status``: runs, packages, loads and rejects, from the ledger."""

import click

from tickvault.cli.options import json_option, load_settings, show

_VIEWS = {
    "runs": (
        ["run", "job", "slot", "status", "attempts", "seconds", "read", "loaded", "unchanged", "rejected", "missing"],
        """SELECT left(run_id, 8), job, to_char(slot AT TIME ZONE 'UTC', 'YYYYMMDD"T"HH24MISS"Z"'), status, attempts,
            round(extract(epoch FROM coalesce(finished_at, now()) - started_at), 1)::float, rows_read, rows_loaded,
            rows_unchanged, rows_rejected, coalesce(jsonb_array_length(outcome -> 'missing'), 0)
        FROM data_platform.runs WHERE (%s::text IS NULL OR job LIKE '%%' || %s || '%%')
        ORDER BY started_at DESC LIMIT %s""",
    ),
    "packages": (
        ["package", "rows", "rejected", "failed", "landed", "loaded into"],
        """SELECT p.package_id, p.rows, p.rejected,
            (SELECT count(*) FROM jsonb_array_elements(p.outcomes) o WHERE o ->> 'status' = 'failed'),
            to_char(p.landed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
            coalesce(string_agg(l.sink, ', ' ORDER BY l.sink), 'pending')
        FROM data_platform.packages p LEFT JOIN data_platform.loads l USING (package_id)
        WHERE (%s::text IS NULL OR p.package_id LIKE '%%' || %s || '%%')
        GROUP BY p.package_id ORDER BY max(p.landed_at) DESC LIMIT %s""",
    ),
    "rejects": (
        ["package", "item", "column", "reason", "replayed by", "record"],
        """SELECT package_id, item, column_name, reason, replayed_by, record::text FROM data_platform.rejects
        WHERE (%s::text IS NULL OR package_id LIKE '%%' || %s || '%%')
        ORDER BY created_at DESC, ordinal LIMIT %s""",
    ),
    "watermarks": (
        ["source_name", "watermark_column", "watermark_value"],
        """SELECT source_name, watermark_column, watermark_value FROM data_platform.watermarks
        WHERE (%s::text IS NULL OR source_name LIKE '%%' || %s || '%%') ORDER BY 1 LIMIT %s""",
    ),
}


@click.command()
@click.argument("pattern", required=False)
@click.option("--packages", "view", flag_value="packages", help="What landed, and where it was loaded.")
@click.option("--rejects", "view", flag_value="rejects", help="Records put aside, with their reasons.")
@click.option("--watermarks", "view", flag_value="watermarks", help="How far each stream has come.")
@click.option("--runs", "view", flag_value="runs", default=True, help="What ran (the default).")
@click.option("--limit", default=20, show_default=True, help="Rows to show.")
@json_option
def command(pattern: str | None, view: str, limit: int, as_json: bool) -> None:
    """Show what the ledger knows, newest first; PATTERN keeps what contains it."""
    from tickvault.ledger import Ledger

    columns, sql = _VIEWS[view]
    with Ledger.open(load_settings()) as ledger:
        show(ledger.query(sql, pattern, pattern, limit), columns, as_json, title=view)
