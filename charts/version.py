"""Writes a version into every chart: ``python3 charts/version.py 0.2.0``. Run before a release is tagged and packaged.

A chart's version, the versions it names of the charts beside it, and its appVersion where that is ours: a chart of
somebody else's program keeps that program's.
"""

import re
import sys
from pathlib import Path

_VERSION = re.compile(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?")
_NOT_A_VERSION = "charts/version.py VERSION, and a version is like 0.2.0 or 0.2.0-rc.1; not"


def main(charts: Path, version: str) -> None:
    """Put the version in place of the one before it."""
    if not _VERSION.fullmatch(version):
        sys.exit(f"{_NOT_A_VERSION} {version!r}")
    for file in sorted(charts.glob("*/Chart.yaml")):
        text = file.read_text(encoding="utf-8")
        found = re.search(r"^version: (\S+)$", text, re.MULTILINE)
        if not found:
            sys.exit(f"{file} has no line 'version: ...'")
        before = re.escape(found[1])
        text = re.sub(rf"\b(version: ){before}(?=[,\s])", rf"\g<1>{version}", text)
        text = re.sub(rf'^(appVersion: "){before}"', rf'\g<1>{version}"', text, flags=re.MULTILINE)
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004 - the program and its one argument
        sys.exit(f"{_NOT_A_VERSION} {' '.join(sys.argv[1:])!r}")
    main(Path(__file__).parent, sys.argv[1])
