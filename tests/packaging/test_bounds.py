"""The lower bounds that pyproject.toml declares are the versions that make test-versions tests."""

import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.workplace import REPOSITORY


@pytest.mark.versions
@pytest.mark.skipif(Path(sys.prefix).name != ".venv-lowest", reason="not the lowest versions")
def test_each_lowest_version_is_the_one_declared():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    higher = {}
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        requirement = Requirement(text)
        (declared,) = (Version(bound.version).release for bound in requirement.specifier)
        installed = metadata.version(requirement.name)
        if Version(installed).release[: len(declared)] != declared:
            higher[str(requirement)] = installed
    assert not higher, "something else asks for more; declare that"
