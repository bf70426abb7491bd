"""The worked examples of the docs, run as they stand: their files, and their commands in order."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.ray


def files(page: str) -> dict[str, str]:
    """What stands in a block after a line that is a file's name."""
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", page, re.MULTILINE | re.DOTALL))


def commands(page: str) -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.fixture
def follow(place):
    """Do what a page says, in the workplace; gives what each command printed."""
    (place.root / "bin").mkdir(exist_ok=True)
    python = place.root / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    for name in ("tune_main.py", "search_spaces"):
        if not (place.root / name).exists():
            (place.root / name).symlink_to(REPOSITORY / name)
    path = f"{python.parent}{os.pathsep}{os.environ['PATH']}"

    def follow(name: str) -> dict[str, str]:
        page = (REPOSITORY / "docs" / name).read_text()
        for file, text in files(page).items():
            (place.root / file).write_text(text)
        printed = {}
        for command in commands(page):
            done = subprocess.run(
                command, shell=True, cwd=place.root, env=place.environment | {"PATH": path},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900,
            )  # fmt: skip
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{place.logs()}"
            printed[command] = done.stdout
        return printed

    return follow


def test_your_own_model(follow, place):
    (place.root / "my").mkdir()
    (place.root / "my" / "photographs").symlink_to(place.root / "bands")
    run, leaderboard, replay, predict, resume = follow("your-own-model.md").values()
    assert "your own code, tried once: my_model:blocks, my_model:focal" in run
    assert "test accuracy " in run
    assert "own.depth  own.gamma" in leaderboard
    assert "identical: trial 0001" in replay
    assert "my/photographs/test/low/0.png" in predict
    assert "5/5 trials ended" in resume
    rows = place.rows("mine")
    assert {row["architecture"] for row in rows} == {"my_model:blocks"}
    assert {row["own.depth"] for row in rows} <= {"1", "2", "3"}
    for row in rows:
        assert (row["own.gamma"] != "") == (row["loss"] == "my_model:focal"), row


def test_your_own_data(follow, place):
    printed = list(follow("your-own-data.md").values())
    assert "shapes32 is ready: train" in printed[2]
    assert "2 classes" in printed[3]
    assert "test accuracy " in printed[3]
    assert "circle" in printed[5]
    assert len(place.rows("shapes")) == 3
