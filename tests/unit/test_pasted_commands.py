"""Every command that a page or a program shows can be pasted: it parses, and what it names is there."""

import itertools
import re
import subprocess
from pathlib import Path

import click
import commands
import pytest
import yaml

ROOT = commands.ROOT
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z0-9-]*):", MAKEFILE, re.MULTILINE))
JOBS = {line.partition(":")[0] for line in (ROOT / "tests/charts/jobs.txt").read_text(encoding="utf-8").splitlines()}
SHOWN = [*commands.pages(), *commands.programs()]
NAMES = {"tickvault local", "tickvault cluster"}
"""Commands that a sentence speaks of without a command of theirs."""
# «…» is for a reader to fill in.
LINES = sorted(
    {shown for shown in SHOWN if "…" not in shown.text and shown.text not in NAMES},
    key=lambda shown: (shown.place, shown.text),
)


def test_there_are_commands_to_hold_to_this():
    assert len(LINES) > 150
    assert {line.place.partition(":")[0] for line in LINES} >= {"README.md", "CONTRIBUTING.md", "docs/repair.md"}


@pytest.mark.parametrize("shown", LINES, ids=lambda shown: f"{shown.place} {shown.text}"[:100])
def test_it_can_be_pasted(shown):
    for words in shown.words():
        check(words)


def check(words):
    program, *rest = words
    if "--" in rest:  # what kubectl runs in a pod
        check(rest[rest.index("--") + 1 :])
        rest = rest[: rest.index("--")]
    if program == "tickvault":
        commands.parse(rest)
    elif program == "make":
        check_make(rest)
    elif program in {"python", "python3"}:
        check_python(rest)
    elif program == "helm":
        check_helm(rest)
    elif program == "kubectl":
        check_kubectl(rest)


def check_make(words):
    given = dict(word.partition("=")[::2] for word in words if "=" in word)
    assert {word for word in words if "=" not in word and not word.startswith("-")} <= TARGETS
    assert all(f"$({name})" in MAKEFILE or f"$(if $({name})" in MAKEFILE for name in given), given


def check_python(words):
    if words and not words[0].startswith("-"):
        assert (ROOT / words[0]).is_file()


def check_helm(words):
    charts = [word for word in words if word.startswith("charts/")]
    assert all((ROOT / chart / "Chart.yaml").is_file() or (ROOT / chart).is_file() for chart in charts)
    options = dict(itertools.pairwise(words))
    for option in ("--values", "-f"):
        if options.get(option, "").startswith("charts/"):
            assert (ROOT / options[option]).is_file()
    for setting in (words[n + 1] for n, word in enumerate(words) if word in {"--set", "--set-string"}):
        value_at(setting.partition("=")[0])


def value_at(path):
    """Find a value of the umbrella or of one of its charts, by its dotted path."""
    name, _, inner = path.partition(".")
    values = yaml.safe_load((ROOT / "charts/tickvault/values.yaml").read_text(encoding="utf-8"))
    chart = ROOT / "charts" / re.sub(r"([A-Z])", lambda found: f"-{found[1].lower()}", name) / "values.yaml"
    own = yaml.safe_load(chart.read_text(encoding="utf-8")) if chart.is_file() else {}
    while inner:
        key, _, inner = inner.partition(".")
        known = {**own, **(values.get(name) or {})} if isinstance(values, dict) and name else own
        assert key in known or key == "enabled", f"{path}: no value {key}"
        own, values, name = known.get(key) or {}, {}, ""


def check_kubectl(words):
    for word in words:
        if found := re.fullmatch(r"(?:--from=)?cronjob/(\S+)", word):
            assert found[1] in JOBS
        if found := re.fullmatch(r"(?:deploy|svc|statefulset)/(\S+)", word):
            assert any((ROOT / "charts" / part).exists() for part in chart_of(found[1])), word
        if re.fullmatch(r"(k8s|charts|docs)/\S*", word):
            assert (ROOT / word).exists()


def chart_of(name):
    """The folders of charts that an object of the release may come from: tickvault-<chart>[-<part>]."""
    parts = name.removeprefix("tickvault-").split("-")
    return ["-".join(parts[:n]) for n in range(1, len(parts) + 1)]


@pytest.mark.parametrize("page", commands.PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_shell_blocks_are_shell(page: Path):
    for line, block in commands.blocks(page):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{page}:{line}: {done.stderr}"


@pytest.mark.parametrize(
    "wrong",
    [
        "tickvault quer", "tickvault query --no", "tickvault extract", "tickvault local lake list", "make tests",
        "make soak HOUR=3", "tickvault load --on postgres", "kubectl create job x --from=cronjob/extract-bitfinex",
        "kubectl logs deploy/tickvault-redis -- sh", "helm install tickvault charts/tickvalut",
        "helm install tickvault charts/tickvault --set kafka.enable=true", "python docs/map.py",
    ],
)  # fmt: skip
def test_a_wrong_command_is_seen(wrong):
    (words,) = commands.Shown("", wrong).words()
    with pytest.raises((AssertionError, click.ClickException)):
        check(words)
