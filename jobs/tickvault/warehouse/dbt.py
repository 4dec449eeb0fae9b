"""Runs dbt in this process: settings in, what each node did out. The one place that knows dbt's interface."""

import hashlib
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from tickvault.core.errors import ConfigError, PlatformError, SinkUnavailableError, TerminalError
from tickvault.core.settings import Settings, export
from tickvault.warehouse.target import Target

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.contracts.graph.manifest import Manifest

_log = logging.getLogger(__name__)

_VARIABLES = (
    *(f"snowflake_{n}" for n in ("account", "user", "password", "private_key", "private_key_path")),
    *(f"snowflake_{n}" for n in ("private_key_passphrase", "role", "warehouse", "database", "schema")),
    *(f"snowflake_{n}" for n in ("schema_staging", "host", "port", "protocol")),
    *(f"trino_{n}" for n in ("host", "port", "user", "password", "scheme", "lake_catalog", "raw_catalog")),
    *(f"postgres_{n}" for n in ("host", "port", "user", "password", "db")),
)
"""Settings the project reads, in profiles.yml and sources/, as environment variables of the same names."""
_PARSED_FROM = (
    *("snowflake_database", "snowflake_schema", "snowflake_schema_staging"),
    *("trino_lake_catalog", "trino_raw_catalog", "postgres_db"),
)
_AWAY = (
    *("failed to connect", "connection refused", "max retries exceeded", "timed out", "name or service not known"),
    *("connection aborted", "connection reset", "server is still initializing", "no nodes available", "250001"),
    *("could not translate host name", "is the server running", "timeout expired", "server closed the connection"),
    *("terminating connection", "the database system is", "too many clients", "remaining connection slots"),
)
_SESSION = "-c timezone=UTC -c jit=off -c work_mem=64MB -c client_connection_check_interval=10s"
"""What libpq tells PostgreSQL of dbt's sessions: among it to end what a killed build was at once its client is gone."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What one node of the project did.

    Args:
        name: The node's name.
        kind: model, seed or test.
        schema: Schema of a model; of a test, that of its failing rows.
        relation: The table itself, in full.
        status: dbt's word: success, pass, warn, fail, error or skipped.
        seconds: How long it took.
        rows: Failing rows of a test; of a model nothing, engines count differently.
        stored: Whether the model is a table.
        names: Column of a test's failing rows that says whose they are (``meta.names`` of the test).
        message: What the engine said, where something is wrong.
    """

    name: str
    kind: str
    schema: str
    relation: str
    status: str
    seconds: float
    rows: int | None
    message: str | None
    stored: bool = False
    names: str | None = None


class Dbt:
    """The project against one target.

    Args:
        settings: Where target and project are.
        target: The target.
    """

    def __init__(self, settings: Settings, target: Target) -> None:
        self._settings, self._target = settings, target
        base = settings.dbt_target_path or settings.tickvault_home / "dbt"
        self.folder = (base / target.engine).absolute()
        """What dbt writes: the parsed project, compiled SQL, documentation."""
        self.project = settings.dbt_project_dir.absolute()

    def build(self, select: Sequence[str], digest: str, *, full_refresh: bool = False) -> list[NodeResult]:
        """Build and test what is selected, everything of the target when nothing is; unit tests are for ``make test``.

        Args:
            select: dbt selectors; of each only what the target has.
            digest: Fingerprint of the project, to tell whether its parsed form can be used again.
            full_refresh: Pass ``--full-refresh`` on. Vault tables stay as they are.

        Returns:
            What each node did; of tests that fail, the table of failing rows, too.

        Raises:
            ConfigError: The project, a selector or the profile is wrong.
            SinkUnavailableError: The target does not answer.
        """
        tag = f"tag:{self._target.engine}"
        arguments = ["build", "--exclude-resource-type", "unit_test", "--no-write-json", "--select"]
        arguments += [f"{s},{tag}" for s in select] or [tag]
        nodes = self._nodes([*arguments, *(["--full-refresh"] if full_refresh else [])], digest)
        if not nodes:
            raise ConfigError(f"dbt: nothing is selected by '{' '.join(select)}' in target {self._target.name}")
        failed = [n.name for n in nodes if n.status in {"fail", "warn"}]
        if failed:
            # A table for each test would cost more than the tests; only what fails is run again and kept.
            again = ["test", "--store-failures", "--no-write-json", "--select", *failed]
            rerun = {n.name: n for n in self._nodes(again, digest)}
            nodes = [_with_failures(n, rerun[n.name]) if n.name in rerun else n for n in nodes]
        return nodes

    def _nodes(self, arguments: list[str], digest: str) -> list[NodeResult]:
        with self._parsed(digest) as manifest:
            result = self._invoke(arguments, manifest)
        return [_node(r) for r in getattr(result.result, "results", None) or []]

    def run(self, *arguments: str) -> None:
        """Run another command, such as ``debug`` or ``docs generate``; errors as of ``build``."""
        result = self._invoke(list(arguments), None, quiet=False)
        if not result.success:
            raise TerminalError(f"dbt {' '.join(arguments)} failed in target {self._target.name}; see above")

    def parse(self, digest: str) -> Path:
        """Parse the project without asking the target, and keep the result beside it: for an image."""
        self._invoke(["parse"], None)
        shipped = self.project / "parsed" / f"{self._key(digest)}.msgpack"
        shipped.parent.mkdir(exist_ok=True)
        shutil.copyfile(self.folder / "partial_parse.msgpack", shipped)
        return shipped

    @contextmanager
    def _parsed(self, digest: str) -> Iterator["Manifest | None"]:
        """Give the project as it was parsed before, by an earlier build or into the image; keep it if it was not.

        dbt's own partial parsing would start anew wherever user or host differ from those it was parsed with.
        """
        from dbt.contracts.graph.manifest import Manifest

        name = f"{self._key(digest)}.msgpack"
        parsed = self.folder / "parsed" / name
        for file in (parsed, self.project / "parsed" / name):
            if file.exists():
                try:
                    manifest = Manifest.from_msgpack(file.read_bytes())  # type: ignore[attr-defined, unused-ignore]
                    # dbt does so after it has parsed: macros look models up in it.
                    manifest.build_flat_graph()  # type: ignore[no-untyped-call, unused-ignore]
                except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of it
                    _log.warning("%s cannot be read, so the project is parsed anew: %s", file, type(error).__name__)
                    continue
                yield manifest
                return
        yield None
        fresh = self.folder / "partial_parse.msgpack"
        if fresh.exists():
            shutil.rmtree(parsed.parent, ignore_errors=True)
            parsed.parent.mkdir(parents=True)
            half = parsed.with_suffix(".part")
            shutil.copyfile(fresh, half)
            half.replace(parsed)

    def _key(self, digest: str) -> str:
        """Everything that parsing depends on."""
        names = [str(getattr(self._settings, name)) for name in _PARSED_FROM]
        emulated = str(bool(self._settings.snowflake_host))
        parts = [digest, metadata.version("dbt-core"), self._target.name, str(self.project), emulated, *names]
        return f"{self._target.engine}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:16]}"

    def _invoke(self, arguments: list[str], manifest: "Manifest | None", *, quiet: bool = True) -> "dbtRunnerResult":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # RequestsDependencyWarning about the chardet that sqlfluff brings
            from dbt.cli.main import dbtRunner
        warnings.filterwarnings("ignore", message=".*doesn't match a supported version")
        if not (self.project / "dbt_project.yml").exists():
            raise ConfigError(f"there is no dbt project in {self.project}; set DBT_PROJECT_DIR")
        self.folder.mkdir(parents=True, exist_ok=True)
        export(variables(self._settings))
        if self._target.engine == "postgres":  # the adapter's profile knows no settings of a session
            export({"PGOPTIONS": _SESSION})
        where = ["--project-dir", str(self.project), "--profiles-dir", str(self.project)]
        where += ["--target", self._target.name, "--log-path", str(self.folder)]
        if arguments != ["debug"]:
            where += ["--target-path", str(self.folder)]
        output = ["--log-level", "none", "--log-level-file", "none", "--quiet"] if quiet else ["--no-use-colors"]
        result = dbtRunner(manifest=manifest).invoke([*output, *arguments, *where])
        if isinstance(result.exception, PlatformError):
            raise result.exception
        if result.exception is not None:
            text = " ".join(str(result.exception).split())
            raise (SinkUnavailableError if is_away(text) else ConfigError)(
                f"dbt {arguments[0]} in target {self._target.name}: {text}"
            ) from result.exception
        return result


def variables(settings: Settings) -> dict[str, str]:
    """Return the environment the project reads; what is not set is empty."""
    found = {}
    for name in _VARIABLES:
        value: Any = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        found[name.upper()] = "" if text is None else str(text)
    return found


def is_away(message: str) -> bool:
    """Whether an engine's message says that it does not answer."""
    return any(sign in message.lower() for sign in _AWAY)


def _with_failures(first: NodeResult, again: NodeResult) -> NodeResult:
    """Say where a failed test's rows are kept. What it said first stands: models behind it were skipped for it."""
    return replace(first, relation=again.relation, rows=again.rows or first.rows)


def _node(result: Any) -> NodeResult:
    node, status = result.node, str(result.status)
    kind = str(node.resource_type)
    wrong = status in {"fail", "error", "warn"}
    return NodeResult(
        name=node.name,
        kind=kind,
        schema=node.schema,
        relation=node.relation_name or "",
        status=status,
        seconds=round(float(result.execution_time), 3),  # of a node that was skipped dbt says 0, a whole number
        rows=result.failures if kind == "test" else None,
        message=" ".join(str(result.message).split()) if wrong and result.message else None,
        stored=kind == "model" and node.config.materialized != "view",
        names=node.config.meta.get("names") if kind == "test" else None,
    )
