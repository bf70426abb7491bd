"""Worked examples of the docs, executed verbatim: their files, and their commands in order."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.support.workspace import REPOSITORY

pytestmark = pytest.mark.ray


def files(page: str) -> dict[str, str]:
    """Return the code blocks that follow a file name, by that name."""
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


def commands(page: str) -> list[str]:
    """Return the commands of all shell blocks."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def follow(workspace):
    """Return a function that runs the commands of a page and returns their outputs."""
    (workspace.root / "bin").mkdir(exist_ok=True)
    python = workspace.root / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for name in ("tune_main.py", "search_spaces"):
        if not (workspace.root / name).exists():
            (workspace.root / name).symlink_to(REPOSITORY / name)
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])

    def follow(name: str) -> dict[str, str]:
        page = (REPOSITORY / "docs" / name).read_text()
        for file, text in files(page).items():
            (workspace.root / file).write_text(text)
        printed = {}
        for command in commands(page):
            if command.startswith("handsigns "):
                printed[command] = workspace.run(*shlex.split(command)[1:])
                continue
            completed = subprocess.run(
                command, shell=True, cwd=workspace.root, env=workspace.environment | {"PATH": path},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900,
            )  # fmt: skip
            assert completed.returncode == 0, f"{command}\n{completed.stdout}\n{workspace.logs()}"
            printed[command] = completed.stdout
        return printed

    return follow


def test_your_own_model(follow, workspace):
    (workspace.root / "my").mkdir()
    (workspace.root / "my" / "photographs").symlink_to(workspace.root / "bands")
    run, leaderboard, replay, predict, resume = follow("tutorials/your-own-model.md").values()
    assert "user code checked: my_model:blocks, my_model:focal" in run
    assert "test accuracy " in run
    assert "custom.depth  custom.gamma" in leaderboard
    assert "identical: trial 0001" in replay
    assert "my/photographs/test/low/0.png" in predict
    assert "5/5 trials finished" in resume
    rows = workspace.rows("mine")
    assert {row["architecture"] for row in rows} == {"my_model:blocks"}
    assert {row["custom.depth"] for row in rows} <= {"1", "2", "3"}
    for row in rows:
        assert (row["custom.gamma"] != "") == (row["loss"] == "my_model:focal"), row


def test_imbalanced_classes(follow, workspace):
    _, planned, run = follow("how-to/imbalanced-classes.md").values()
    assert "note: class five has 15 training images, other 285." in planned
    assert "note: class five has" not in run, "its objective is balanced accuracy"
    assert "balanced accuracy " in run.split("test accuracy ")[1]
    assert "  val_accuracy  val_balanced_accuracy  val_macro_f1  val_loss  " in run
    rows = {(row["class_weights"], row["sampling"]): row for row in workspace.rows("rare")}
    plain = rows["none", "shuffle"]
    assert float(plain["val_accuracy"]) > 0.93
    assert float(plain["val_balanced_accuracy"]) < 0.6
    best = workspace.rows("rare")[0]
    assert float(best["val_balanced_accuracy"]) > 0.65


def test_your_own_images(follow, workspace):
    printed = list(follow("tutorials/your-own-images.md").values())
    assert "shapes32 is ready: train" in printed[2]
    assert "2 classes" in printed[3]
    assert "test accuracy " in printed[3]
    assert "circle" in printed[5]
    assert len(workspace.rows("shapes")) == 3
