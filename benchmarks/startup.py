"""Seconds from the shell to the first useful line of ``tickvault extract binance``; exits with 1 when it is late.

The baseline is what a script pays that imports every library of the platform at its top. Each is the best of several
runs, since a busy machine only ever adds; the CPU seconds beside it say what an idle one would need.

Run it with ``python benchmarks/startup.py [--runs 7]``.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_SECONDS = 0.8
COMMAND = [str(Path(sys.executable).parent / "tickvault"), "extract", "binance", "--dry-run"]
EAGER = "import boto3, pandas, prefect, requests, snowflake.connector, yfinance; print('ready', flush=True)"


def first_line(command: list[str], folder: str) -> tuple[float, float, str]:
    """Return wall and CPU seconds until the first line, and the line."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MINIO_", "TICKVAULT_", "POSTGRES_"))}
    started, used = time.perf_counter(), os.times()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment) as child:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
        seconds = time.perf_counter() - started
        child.communicate()
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    assert child.returncode == 0, line
    return seconds, cpu, line


def best(command: list[str], runs: int) -> tuple[float, float, str]:
    """Return the fastest of several runs; the first one also writes the bytecode and does not count."""
    with tempfile.TemporaryDirectory() as folder:
        first_line(command, folder)
        return min(first_line(command, folder) for _ in range(runs))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
    ours, our_cpu, line = best(COMMAND, runs)
    eager, eager_cpu, _ = best([sys.executable, "-W", "ignore", "-c", EAGER], max(1, runs // 3))
    print(f"tickvault extract binance: {ours:.2f} s to the first line (goal {GOAL_SECONDS} s), {our_cpu:.2f} s of CPU")
    print(f"  «{line}»")
    print(f"all libraries at the top: {eager:.2f} s, {eager_cpu:.2f} s of CPU: {eager / ours:.1f} times as long")
    return 0 if ours <= GOAL_SECONDS else 1


if __name__ == "__main__":
    raise SystemExit(main())
