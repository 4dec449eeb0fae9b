"""Tools of the chart tests: without them a test is skipped, with ``REQUIRE_ENGINES=1`` it fails."""

import os
import shutil
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skip the test for want of a tool, or fail it."""
    if os.environ.get("REQUIRE_ENGINES") == "1":
        pytest.fail(f"{what}, and REQUIRE_ENGINES=1")
    pytest.skip(what)


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is not on the PATH")
    return path


@pytest.fixture(scope="session")
def helm() -> str:
    """The Helm client."""
    return _tool("helm")


@pytest.fixture(scope="session")
def kube_score() -> str:
    """The linter kube-score."""
    return _tool("kube-score")
