"""The commands that the pages and the programs show, as somebody would paste them, and what becomes of each."""

import ast
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from tickvault.cli import root

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("charts/*/README.md")]
)
PROGRAMS = r"(?:\.venv/bin/)?tickvault|make|helm|kubectl|kind|(?:\.venv/bin/)?python3?|psql|prefect|git|docker"
INLINE = re.compile(rf"`((?:[A-Z_]+=\S+ )*(?:{PROGRAMS}) [^`]+)`")
QUOTED = re.compile(r"['«`](tickvault [^'»`]+)['»`]")
ENDS = {"|", ">", ">>", "<", "&&", "||", ";", "&"}
EXAMPLES = {
    "run": "extract-binance-20261120T130000Z",
    "job": "extract-binance",
    "slot": "20261120T130000Z",
    "source": "binance",
    "sink": "postgres",
    "table": "raw_cryptobars",
    "folder": "out",
    "file": "trades.parquet",
    "target": "dev-snowflake",
    "flow": "prices-crypto-pipeline",
    "symbol": "BTC",
    "days": "5",
    "name": "raw_cryptobars",
    "pod": "tickvault-minio-0",
    "command": "status",
    "arguments": "status",
    "word": "status",
}
"""What stands for a word in <angles> or CAPITALS that a reader replaces."""
_PLACE = re.compile(r"<([a-z_ ]+)>")


@dataclass(frozen=True)
class Shown:
    """A command, and where it is shown."""

    place: str
    text: str

    def words(self) -> list[list[str]]:
        """The commands of the line, a list of words each, with examples in the places that a reader fills."""
        text = _PLACE.sub(lambda found: EXAMPLES.get(found[1].lower(), found[1]), self.text)
        lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, ""
        commands: list[list[str]] = [[]]
        skip = False
        for word in lexer:
            if word in ENDS:
                skip = word in {">", ">>", "<"}
                commands += [] if skip else [[]]
            elif not skip:
                commands[-1].append(EXAMPLES.get(word.lower(), word) if re.fullmatch("[A-Z]{3,}", word) else word)
            else:
                skip = False
        return [_bare(words) for words in commands if words]


def _bare(words: list[str]) -> list[str]:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return [w.removeprefix(".venv/bin/") if n == 0 else w for n, w in enumerate(words)]


def blocks(page: Path) -> Iterator[tuple[int, str]]:
    """The shell blocks of a page, and the line each begins at; what they say after two spaces and # is dropped."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if found[1] in {"", "sh", "bash", "console"} and not re.match(r"\s*[┌│├{<]", found[2]):
            yield text[: found.start()].count("\n") + 2, re.sub(r"(^|  )#.*$", "", found[2], flags=re.MULTILINE)


def pages() -> Iterator[Shown]:
    """Every command of every page: lines of its shell blocks, and what stands between backticks in its text."""
    for page in PAGES:
        name = str(page.relative_to(ROOT))
        for line, block in blocks(page):
            joined = re.sub(r"\\\n\s*", "", block)
            yield from (
                Shown(f"{name}:{line}", text)
                for text in map(str.strip, joined.splitlines())
                if re.match(rf"(?:[A-Z_]+=\S+ )*(?:{PROGRAMS})\b", text)
            )
        text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        yield from (Shown(name, found[1].replace("\n", " ")) for found in INLINE.finditer(text))


def programs() -> Iterator[Shown]:
    """Every command that our code quotes, in a message, a help or a list of what to do next."""
    for module in sorted((ROOT / "jobs").rglob("*.py")):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        first = ast.get_docstring(tree, clean=False)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and node.value == first:
                continue  # a module's docstring names its command
            if isinstance(node, ast.JoinedStr):
                text = "".join(_piece(part) for part in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            place = f"{module.relative_to(ROOT)}:{node.lineno}"
            yield from (Shown(place, found[1]) for found in QUOTED.finditer(text))
            lines = [line.strip() for line in text.splitlines()] if "Examples:" in text or "\n" not in text else []
            yield from (Shown(place, line) for line in lines if line.startswith(("tickvault ", "make ")))


def _piece(part: ast.expr) -> str:
    """Give an f-string's piece; what it fills in at run time becomes a word to replace, by the last of its names."""
    if isinstance(part, ast.FormattedValue) and isinstance(part.value, ast.IfExp):
        part = part.value.body
    if isinstance(part, ast.Constant):
        return str(part.value)
    names = [
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(part) if isinstance(n, ast.Name | ast.Attribute)
    ]
    return f"<{names[0] if names else 'word'}>"


def parse(words: list[str]) -> None:
    """Parse the arguments of ``tickvault`` as it would itself, without doing anything.

    Raises:
        click.ClickException: There is no such command or option, or an argument is not what it has to be.
    """
    command: click.Command = root
    context = click.Context(root, info_name="tickvault")
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        if found is None:
            raise click.UsageError(f"no command {name}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    if words in (["--help"], ["--version"]) or (isinstance(command, click.Group) and not words):
        return
    made = command.make_context(context.info_name, list(words), parent=context.parent)
    if made.info_name in {"local", "cluster"}:
        inner = list(made.params["arguments"])
        if inner and inner[0] not in LOCAL_WORDS:
            parse(inner)


LOCAL_WORDS = {"up", "down", "env"}
"""What ``tickvault local`` does itself; anything else is a command for the engines."""
