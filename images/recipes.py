"""What each image is made of, and the tag that follows from it."""

import hashlib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = "tickvault"
_RECIPE = "images/Dockerfile"
_OURS = (_RECIPE, "pyproject.toml", "uv.lock", "prefect.yaml", "jobs", "seeds")
_INGREDIENTS = {"dbt": (*_OURS, "dbt"), "alertmanager": (_RECIPE,)}
"""What goes into the images of a stage, where that is more or less than our code and its packages."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How an image is made; two images of one recipe are one image with two names.

    Args:
        stage: Stage of the Dockerfile.
        extra: Extra of ``pyproject.toml``, or empty.
        tag: A hash of everything the image is made from: another content, another tag.
    """

    stage: str
    extra: str
    tag: str


def recipes() -> dict[str, Recipe]:
    """Give the recipe of every image by its name, such as ``extract-binance``.

    Raises:
        ValueError: ``images.toml`` names an extra or an image that is not there.
    """
    listed = tomllib.loads((ROOT / "images/images.toml").read_text(encoding="utf-8"))
    extras, stages = listed["extras"], listed["stages"]
    known = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    derived = {*_modules("sources", "extract"), *_modules("sinks", "load")}
    for name, extra in extras.items():
        if extra not in known:
            raise ValueError(f"images.toml: {name} takes the extra '{extra}', which pyproject.toml does not have")
        if name.startswith(("extract-", "load-")) and name not in derived:
            raise ValueError(f"images.toml: {name} has no module in jobs/tickvault")
    return {
        name: _recipe(stages.get(name, "extra" if name in extras else "base"), extras.get(name, ""))
        for name in sorted({*derived, *extras, *stages})
    }


def _modules(package: str, verb: str) -> Iterator[str]:
    for file in (ROOT / "jobs/tickvault" / package).glob("[!_]*.py"):
        yield f"{verb}-{file.stem.replace('_', '-')}"


def _recipe(stage: str, extra: str) -> Recipe:
    digest = hashlib.sha256(f"{stage} {extra}".encode())
    for file in _files(_INGREDIENTS.get(stage, _OURS)):
        digest.update(f"\0{file.relative_to(ROOT)}\0".encode() + file.read_bytes())
    return Recipe(stage, extra, digest.hexdigest()[:12])


def _files(ingredients: tuple[str, ...]) -> Iterator[Path]:
    generated = {ROOT / "dbt/target", ROOT / "dbt/logs"}
    for ingredient in ingredients:
        path = ROOT / ingredient
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.is_file() and file.suffix != ".pyc" and not generated.intersection(file.parents):
                yield file
