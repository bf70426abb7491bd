"""Contents of the wheel, and a full pipeline with it outside a checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

from handsigns import __version__
from tests.support.workspace import REPOSITORY, Workspace

pytest.importorskip("hatchling", reason="the build backend is not installed")

PACKAGED = {"handsigns": "handsigns", "search_spaces": "handsigns/search_spaces"}
"""Folders of the checkout and their location in a wheel."""


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    """Run a command that must succeed; return its output."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    completed = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment | variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600,
    )  # fmt: skip
    assert completed.returncode == 0, f"{command}\n{completed.stdout}"
    return completed.stdout


def pip_wheel(source: Path, folder: Path) -> Path:
    """Build a wheel offline, with the installed build backend."""
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", *offline, "--wheel-dir", folder, source,
        cwd=folder.parent)  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """Copy of the files that the build needs, so that the repository stays clean."""
    copy = tmp_path_factory.mktemp("build") / "checkout"
    copy.mkdir()
    for name in PACKAGED:
        shutil.copytree(REPOSITORY / name, copy / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(REPOSITORY / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(checkout) -> Path:
    return pip_wheel(checkout, checkout.parent / "wheel")


def test_the_wheel_contains_exactly_the_package_files(checkout, wheel):
    expected = {
        f"{target}/{path.relative_to(checkout / source).as_posix()}": path.read_bytes()
        for source, target in PACKAGED.items()
        for path in (checkout / source).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {n: archive.read(n) for n in archive.namelist() if ".dist-info/" not in n}
    assert found.keys() == expected.keys()
    assert found == expected
    assert {"handsigns/py.typed", "handsigns/search_spaces/quick.yaml"} < found.keys()
    assert any(name.startswith("handsigns/reporting/templates/") for name in found)
    assert {f"handsigns/winner/page/{name}" for name in ("index.html", "page.js", "style.css")} < (
        found.keys()
    )


def test_a_wheel_from_the_sdist_is_identical(checkout, wheel):
    folder = checkout.parent / "sdist"
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=checkout)
    (sdist,) = folder.glob("*.tar.gz")
    rebuilt = pip_wheel(sdist, checkout.parent / "wheel-from-sdist")
    assert rebuilt.name == wheel.name
    assert rebuilt.read_bytes() == wheel.read_bytes()


@dataclass(frozen=True)
class Installed:
    """Fresh environment with the wheel, an empty working folder, and images elsewhere."""

    bin: Path
    folder: Path
    images: Path

    def run(self, *command: str) -> str:
        """Run a program of the environment in the working folder."""
        program = self.bin / command[0]
        return run(program, *command[1:], cwd=self.folder, HANDSIGNS_CACHE=str(self.folder / "c"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Installed:
    """Install the wheel, with the dependencies of this interpreter.

    An editable handsigns there is not visible, as its `.pth` file is read in the interpreter's own
    site-packages only.
    """
    root = tmp_path_factory.mktemp("installed")
    venv.create(root / "venv", symlinks=True)
    bin_folder = root / "venv" / "bin"
    python = bin_folder / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps",
        "--no-index", wheel, cwd=root)  # fmt: skip
    purelib = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))",
                    cwd=root).strip())  # fmt: skip
    site_packages = {sysconfig.get_path(kind) for kind in ("purelib", "platlib")}
    lines = "".join(f"{path}\n" for path in sorted(site_packages))
    (purelib / "dependencies.pth").write_text(lines)
    (root / "work").mkdir()
    (root / "images").mkdir()
    Workspace(root / "images")
    return Installed(bin_folder, root / "work", root / "images" / "bands")


def test_the_installed_copy_is_used_and_finds_its_presets(installed):
    script = (
        "import sys, json, handsigns\n"
        "from handsigns.config.presets import list_presets\n"
        "print(json.dumps([handsigns.__file__, sys.path, list(list_presets())]))"
    )
    file, path, presets = json.loads(installed.run("python", "-c", script))
    assert Path(file).is_relative_to(installed.bin.parent)
    assert str(REPOSITORY) not in path
    assert presets == sorted(path.stem for path in (REPOSITORY / "search_spaces").glob("*.yaml"))
    expected = f"handsigns {__version__}\n"
    assert installed.run("handsigns", "--version") == expected
    assert installed.run("python", "-m", "handsigns", "--version") == expected


@pytest.mark.ray
def test_search_retrain_test_and_predict_without_a_checkout(installed):
    assert not list(installed.folder.iterdir())
    images = str(installed.images)
    options = ("--data", images, "--size", "16", "--trials", "1", "--max-epochs", "3")
    output = installed.run(
        "handsigns", "search", "quick", *options, "--set", "reevaluation.top=0", "--name", "tiny"
    )
    assert "1/1 trial finished" in output
    assert "Traceback" not in output
    results = installed.folder / "results" / "tiny"
    assert (results / "leaderboard.csv").stat().st_size > 0
    page = (installed.folder / "reports" / "tiny" / "index.html").read_text()
    assert "<style>" in page, "the templates are installed"
    for command in (("handsigns",), ("python", "-m", "handsigns")):
        (row,) = json.loads(installed.run(*command, "leaderboard", "tiny", "--format", "json"))
        assert (row["trial_id"], row["epochs"]) == ("0000", 3)

    assert "1 fresh seed" in installed.run(
        "handsigns", "retrain", "tiny", "--seeds", "1", "--no-report"
    )
    assert (results / "winner" / "model.safetensors").stat().st_size > 0
    assert "test accuracy " in installed.run("handsigns", "test", "tiny", "--no-report")
    assert json.loads((results / "winner" / "test.json").read_text())["total"] == 24
    image = f"{images}/test/high/0.png"
    (row,) = json.loads(installed.run("handsigns", "predict", "tiny", image, "--format", "json"))
    assert row["label"] in ("high", "low", "middle")
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
