"""Lower bounds in pyproject.toml equal the versions that make test-versions tests."""

import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.support.workspace import REPOSITORY


@pytest.mark.versions
@pytest.mark.skipif(Path(sys.prefix).name != ".venv-lowest", reason="not the lowest versions")
def test_installed_versions_equal_the_declared_lower_bounds():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    higher = {}
    for text in project["dependencies"] + project["optional-dependencies"]["test"]:
        requirement = Requirement(text)
        (declared,) = (Version(bound.version).release for bound in requirement.specifier)
        installed = metadata.version(requirement.name)
        if Version(installed).release[: len(declared)] != declared:
            higher[str(requirement)] = installed
    assert not higher, "another package requires a higher version; declare that"
