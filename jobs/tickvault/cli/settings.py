"""``tickvault settings``: every setting, its value and meaning; also writes their page and the example file."""

from typing import Any

import click
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from tickvault.cli.options import json_option, load_settings, show
from tickvault.core.settings import Settings


@click.command()
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "env", "markdown"]),
    default="table",
    show_default=True,
    help="table: the values in force; env: .env.example; markdown: docs/settings.md.",
)
@json_option
def command(form: str, as_json: bool) -> None:
    """Show every setting; secrets are shown as set or not set, never by value."""
    if form == "env":
        click.echo(env_example(), nl=False)
        return
    if form == "markdown":
        click.echo(markdown(), nl=False)
        return
    settings = load_settings()
    rows = [
        (
            name.upper(),
            _shown(getattr(settings, name)),
            "set" if name in settings.model_fields_set else "",
            f.description,
        )
        for name, f in Settings.model_fields.items()
    ]
    show(rows, ["setting", "value", "set", "meaning"], as_json)


def env_example() -> str:
    """Return ``.env.example``: every setting with its default, commented out."""
    lines = ["# Every setting; made by 'tickvault settings --format env'. Copy to .env and change what you need."]
    for title, names in Settings.parts().items():
        lines.append(f"\n# --- {title} ---")
        for name in names:
            field = Settings.model_fields[name]
            lines += [f"# {field.description}", f"#{name.upper()}={_default(field.default)}"]
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """Return ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Environment variables, or lines of a file `.env` in the working folder.",
        "Made by `tickvault settings --format markdown`; a test holds this page to the code.",
    ]
    for title, names in Settings.parts().items():
        lines.append(f"\n## {title}\n\n| Variable | Default | Meaning |\n|---|---|---|")
        for name in names:
            default = _default(Settings.model_fields[name].default)
            meaning = Settings.model_fields[name].description
            lines.append(f"| `{name.upper()}` | {f'`{default}`' if default else ''} | {meaning} |")
    return "\n".join(lines) + "\n"


def _default(value: Any) -> str:
    return "" if value is None or value is PydanticUndefined else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return "***"
    return "" if value is None else str(value)
