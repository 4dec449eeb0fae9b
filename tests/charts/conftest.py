"""Tools of the chart tests: without them a test is skipped, with ``REQUIRE_ENGINES=1`` it fails."""

import os
import shutil

import pytest


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None and os.environ.get("REQUIRE_ENGINES") == "1":
        pytest.fail(f"{name} is not on the PATH, and REQUIRE_ENGINES=1")
    if path is None:
        pytest.skip(f"{name} is not on the PATH")
    return path


@pytest.fixture(scope="session")
def helm() -> str:
    """The Helm client."""
    return _tool("helm")


@pytest.fixture(scope="session")
def kube_score() -> str:
    """The linter kube-score."""
    return _tool("kube-score")
