"""The notebook runs from the lock, with public API only, against a warehouse that was built from other rows."""

import ast
import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from warehouse import Dbt, environment

import tickvault
from tickvault.core.errors import TerminalError
from tickvault.warehouse.metrics import metric, statement

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/portfolio.ipynb"
LAYERS = ("marts", "semantic")


@pytest.fixture(scope="module")
def published(postgres_dbt: Dbt) -> Iterator[dict[str, str]]:
    """The environment of a database in which the built models can be read by their public names."""
    query = postgres_dbt.warehouse.query
    for layer in LAYERS:
        query(f"CREATE SCHEMA {layer}")
        models = query(f"SELECT table_name FROM information_schema.tables WHERE table_schema = 'build_{layer}'")
        for (model,) in models:
            query(f"CREATE VIEW {layer}.{model} AS SELECT * FROM build_{layer}.{model}")
    yield postgres_dbt.warehouse.environment()
    for layer in LAYERS:
        query(f"DROP SCHEMA {layer} CASCADE")


@pytest.fixture(scope="module")
def executed(published: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Any:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        cell.pop("outputs", None)
    with environment(published):
        client = NotebookClient(notebook, timeout=300, resources={"metadata": {"path": tmp_path_factory.mktemp("run")}})
        return client.execute()


def pictures(notebook: Any) -> list[bytes]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [base64.b64decode(output.data["image/png"]) for output in outputs if "image/png" in output.get("data", {})]


def test_every_drawing_cell_draws(executed: Any) -> None:
    drawing = [cell for cell in executed.cells if "plt.show()" in cell.source]
    assert len(pictures(executed)) == len(drawing) == 5
    for picture in pictures(executed):
        width, height = struct.unpack(">II", picture[16:24])
        assert picture.startswith(b"\x89PNG") and width > 600 and height > 250
        assert len(picture) > 8_000  # an empty frame has about 4,000


def test_what_it_prints_is_the_warehouse_s(executed: Any, postgres_dbt: Dbt) -> None:
    printed = "".join(o.text for cell in executed.cells for o in cell.get("outputs", []) if o.output_type == "stream")
    ((price,),) = postgres_dbt.warehouse.query(
        """SELECT close_price FROM build_marts.fct_asset_prices WHERE asset_symbol = 'BTC' AND dq_status = 'passed'
        ORDER BY observed_at DESC, quote_currency = 'USD' DESC, quote_currency, source LIMIT 1"""
    )
    assert f"BTC  {price:>12,.2f} " in printed


def test_it_uses_public_names_only() -> None:
    cells = [cell for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    imported = set()
    for cell in cells:
        for node in ast.walk(ast.parse("".join(cell["source"]))):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module))
    assert {name for name in imported if name.startswith("tickvault")} == {"tickvault"}
    assert tickvault.__all__ == ["connect"]


def test_connect_answers_as_the_command_line_does(published: dict[str, str], postgres_dbt: Dbt) -> None:
    with environment(published), tickvault.connect() as vault:
        assert "marts.dim_asset" in vault.tables()
        aum = vault.metric("aum", by=["tier"])
        _, sql = statement(metric("aum"), ["tier"], None, None, lambda model: f"build_semantic.{model}")
        assert dict(zip(aum["tier"], aum["aum"], strict=True)) == pytest.approx(dict(postgres_dbt.warehouse.query(sql)))
        frame = vault.frame("select price_date, close_price, null as nothing from marts.fct_asset_prices limit 3")
        days, closes, _ = map(str, frame.dtypes)
        assert (days[:10], closes) == ("datetime64", "float64")
        with pytest.raises(TerminalError, match="may write"):
            vault.frame("delete from marts.dim_asset")
        columns, rows = vault.rows("select 0::numeric(38,10) as zero")
        assert (columns, str(rows[0][0])) == (["zero"], "0E-10")
