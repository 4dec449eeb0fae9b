"""``python -m tickvault``."""

from tickvault.cli import main

main()
