"""Which code a supervisor and its engines run; they stay for hours, so an update may find those of before."""

import hashlib
from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_ROOMS = ("core", "engines", "local", "market", "simulation")
"""Where all is that they import; the rest of the package may change under them."""


@cache
def edition() -> str:
    """Return a fingerprint of that code, as it is when first asked for."""
    digest = hashlib.sha256()
    for path in sorted(path for room in _ROOMS for path in (_PACKAGE / room).rglob("*.py")):
        digest.update(f"{path.relative_to(_PACKAGE)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]
