"""The demo ends well, shows that nothing doubled, and may be repeated."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tickvault.engines.scratch import scratch
from tickvault.local.engines import end, running
from tickvault.local.home import Home

ROOT = Path(__file__).parents[2]
SMALL = {
    "CRYPTO_SYMBOLS": "BTC,ETH,XMR",
    "STOCK_SYMBOLS": "AAPL,COST",
    "HISTORY_DAYS": "10",
    "NEWS_READ_LIMIT": "2",
    "FAKER_NUM_CUSTOMERS": "50",
    "FAKER_NUM_CORPORATES": "10",
    "FAKER_NUM_STOCK_TRANSACTIONS": "100",
    "FAKER_NUM_CRYPTO_TRANSACTIONS": "60",
    "COLUMNS": "200",
}


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scratch("demo") as folder:
        yield folder
        end(Home(folder / "home" / "demo"), force=True)


def demo(folder: Path) -> str:
    command = [sys.executable, "-m", "tickvault", "demo", "--days", "1", "--build", "off", "--port", "0"]
    environment = os.environ | SMALL | {"SEEDS_PATH": str(ROOT / "seeds"), "TICKVAULT_HOME": str(folder / "home")}
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=folder, check=False, timeout=1800
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_demo_runs_shows_its_table_and_may_be_repeated(folder: Path):
    first = demo(folder)
    assert "nothing doubled" in first
    checksum = re.search(r"checksum ([0-9a-f]{16})", first)
    assert checksum
    rows = {line.split()[0]: line.split()[1:] for line in first.splitlines() if line.startswith(("faker", "bin", "yf"))}
    # AAPL and COST over 10 days: what was read was loaded, in both targets, and nothing was rejected.
    for source, (read, rejected, postgres, unchanged, snowflake, unchanged_too, *_) in rows.items():
        assert rejected == "0", source
        loaded = int(postgres.replace(",", "")) + int(unchanged.replace(",", ""))
        assert loaded == int(read.replace(",", "")), source
        assert (postgres, unchanged) == (snowflake, unchanged_too), source
    assert set(rows) == {"binance", "faker_market", "yfinance_crypto", "yfinance_stock"}
    home = Home(folder / "home" / "demo")
    kept = running(home)
    assert kept, "its engines outlive it"
    kept.close()
    again = demo(folder)
    assert checksum[1] in again
    assert "nothing doubled" in again
    assert "day 1 of 1, resumed: binance, " in again
    assert "resumed" not in first
    offered = re.findall(r"^    (\S.*tickvault local \S+)", first, re.MULTILINE)
    assert offered
    assert all(line.startswith(f"{sys.executable} -m tickvault local ") for line in offered)
