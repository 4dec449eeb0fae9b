"""What `make` installs: the sets' sizes as it says them, and one sentence where a package is missing."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
LOCK = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
LINUX = {"python_full_version": "3.11.9", "python_version": "3.11", "sys_platform": "linux", "os_name": "posix"}
LINUX |= {"platform_system": "Linux", "platform_machine": "x86_64", "implementation_name": "cpython"}
LINUX |= {"platform_python_implementation": "CPython"}


def wanted(dependencies):
    return [d for d in dependencies if "marker" not in d or Marker(d["marker"]).evaluate(LINUX)]


def package(dependency):
    named = [p for p in LOCK if p["name"] == dependency["name"]]
    return next(p for p in named if "version" not in dependency or p["version"] == dependency["version"])


def closure(extras, groups=()):
    """Every package that Linux's Python 3.11 gets of the lock with these extras and groups, itself left out."""
    ours = next(p for p in LOCK if p["name"] == "tickvault")
    found = {("tickvault", ours["version"]): ours}
    lists = [ours["dependencies"], *(ours["optional-dependencies"][e] for e in extras)]
    ahead = [d for given in [*lists, *(ours["dev-dependencies"][g] for g in groups)] for d in wanted(given)]
    while ahead:
        dependency = ahead.pop()
        one = package(dependency)
        new = [] if (one["name"], one["version"]) in found else one.get("dependencies", [])
        new = [*new, *(d for extra in dependency.get("extra", []) for d in one["optional-dependencies"].get(extra, []))]
        found[one["name"], one["version"]] = one
        ahead += [d for d in wanted(new) if (package(d)["name"], package(d)["version"]) not in found or "extra" in d]
    return [p for p in found.values() if p is not ours]


def megabytes(packages):
    """What a Linux machine fetches of them: one wheel each."""
    fits = re.compile(r"none-any|(cp311-cp311|abi3|py3-none)-manylinux.*x86_64")
    sizes = [[w.get("size", 0) for w in p.get("wheels", []) if fits.search(w["url"])] for p in packages]
    return sum(min(known) for known in sizes if known) / 1e6


@pytest.mark.parametrize(
    ("extras", "groups", "said"),
    [(["demo"], [], "What the demo needs"), (["demo", "kubernetes", "trino", "notebook"], ["dev"], "Everything")],
)
def test_make_says_how_much_it_fetches(extras, groups, said):
    named = int(re.search(rf"{said} goes into .*: (\d+) MB to fetch", MAKEFILE).group(1))
    assert megabytes(closure(extras, groups)) == pytest.approx(named, rel=0.1)


def test_the_demo_does_without_what_is_for_clusters_and_notebooks():
    names = {p["name"] for p in closure(["demo"])}
    assert {"prefect", "dbt-postgres", "fakesnow", "prompt-toolkit"} <= names
    assert not names & {"kubernetes", "kubernetes-asyncio", "matplotlib", "mypy", "pytest"}


def test_a_package_that_is_not_installed_is_one_sentence():
    code = "import sys; sys.modules['kubernetes_asyncio'] = None; sys.argv[1:] = ['run-now', 'extract-binance']"
    code += "; from tickvault.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (78, 1)
    assert "kubernetes_asyncio is not installed here: 'make install'" in done.stderr


@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="one process runs all modules as they are")
def test_a_module_s_tests_stay_on_one_worker(request):
    """Else each worker would make a module's engines and warehouses anew; pytest-xdist does it by the name."""
    assert request.node.nodeid.endswith("@test_install.py")
