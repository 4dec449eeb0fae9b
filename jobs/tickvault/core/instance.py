"""What one instance of a source is told, of those that may run several times over: a TOML file each."""

import re
import tomllib
from pathlib import Path
from typing import Any

from tickvault.core.errors import ConfigError

_NAME = re.compile(r"[a-z][a-z0-9]*")


def options(folder: Path, source: str, instance: str) -> dict[str, Any]:
    """Read the options of an instance from ``<folder>/<source>/<instance>.toml``.

    Args:
        folder: ``INSTANCES_PATH``.
        source: The source's name.
        instance: The instance's name: small letters and digits, since jobs and tables are named by it.

    Raises:
        ConfigError: The name does not do, there is no such file, or it is not TOML.
    """
    if not _NAME.fullmatch(instance):
        raise ConfigError(f"'{instance}' names no instance: use small letters and digits, beginning with a letter")
    path = folder / source / f"{instance}.toml"
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.toml"))) or "none"
        raise ConfigError(f"there is no {path}; instances of {source}: {known} (INSTANCES_PATH={folder})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error
