"""Environment of a result."""

import shutil

import pytest

from handsigns.results import environment
from handsigns.results.environment import PACKAGE_DIR, describe_environment


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Copy of this package."""
    copy = tmp_path_factory.mktemp("copy") / "handsigns"
    return shutil.copytree(PACKAGE_DIR, copy, ignore=shutil.ignore_patterns("__pycache__"))


@pytest.mark.parametrize(
    ("file", "changes"),
    [
        ("training/step.py", True),
        ("stats/class_averages.py", True),
        ("metrics.py", True),
        ("io/digest.py", True),
        ("results/statistics.py", True),
        ("results/trial.py", True),
        ("results/networks.py", True),
        ("results/warm_start.py", True),
        ("results/paths.py", False),
        ("cli/parser.py", False),
    ],
)
def test_code_digest_covers_the_code_that_affects_results(package, monkeypatch, file, changes):
    monkeypatch.setattr(environment, "PACKAGE_DIR", package)
    before = describe_environment()["code"]
    with (package / file).open("a") as source:
        source.write("# edited\n")
    assert (describe_environment()["code"] != before) == changes
