"""Run the platform's own fault suites for hours, each round with a new seed that is printed: `make soak`."""

import argparse
import os
import random
import subprocess
import sys
import time

SUITES = (
    "tests/contract/test_mutated_answers.py",
    "tests/integration/test_crash_recovery.py",
    "tests/integration/test_storage.py",
    "tests/integration/test_loading.py",
    "tests/contract/test_sinks.py",
)
EXAMPLES = 20_000
"""Mutated answers a source is fed in a round."""
KILLS = 200


def main() -> int:
    """Run rounds until the time is over or one fails; return what the last one did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1, help="how long rounds are begun (default 1)")
    parser.add_argument("--seed", type=int, help="run one round, with this seed")
    parser.add_argument("--examples", type=int, default=EXAMPLES, help=f"mutations a source (default {EXAMPLES})")
    chosen = parser.parse_args()
    until, rounds = time.monotonic() + chosen.hours * 3600, 0
    while not rounds or (chosen.seed is None and time.monotonic() < until):
        rounds += 1
        seed = chosen.seed or random.SystemRandom().randrange(1, 2**31)
        print(f"round {rounds}: make soak SEED={seed}", flush=True)
        varied = {"SOAK_EXAMPLES": str(chosen.examples), "SOAK_KILLS": str(KILLS), "SOAK_SEED": str(seed)}
        command = [sys.executable, "-m", "pytest", "-q", "-x", f"--hypothesis-seed={seed}", *SUITES]
        ended = subprocess.run(command, env=os.environ | varied, check=False).returncode
        if ended:
            print(f"round {rounds} failed; again: make soak SEED={seed}")
            return ended
    print(f"{rounds} rounds passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
