"""A search space, or results, from others run none of their code unless the user says so."""

import shutil

import pytest

MODULE = """
import pathlib
pathlib.Path({marker!r}).touch()
from torch import nn

def net(config, classes, size):
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * size * size, classes))

def loss(logits, labels, config):
    return nn.functional.cross_entropy(logits, labels)
"""
SPACE = """
space:
  architecture: evil:net
  loss: evil:loss
  learning_rate: {type: log_uniform, low: 1e-3, high: 1e-2}
budget: {trials: 2, max_epochs: 2}
"""
COMMANDS = (
    ("leaderboard", "NAME"),
    ("list",),
    ("watch", "NAME", "--once"),
    ("replay", "NAME", "0000"),
    ("retrain", "NAME"),
    ("test", "NAME"),
    ("predict", "NAME", "bands/test/high/0.png"),
    ("resume", "NAME", "--trials", "3"),
    ("search", "tiny.yaml", "--data", "bands", "--size", "16", "--warm-start", "NAME", "--dry-run"),
)
HARMLESS = ("leaderboard", "list", "watch", "search")


@pytest.fixture(scope="module")
def planted(place):
    """A search space with code beside it that leaves a marker."""
    marker = place.root / "ran"
    (place.root / "evil.py").write_text(MODULE.format(marker=str(marker)))
    (place.root / "evil.yaml").write_text(SPACE)
    return place, marker


def test_a_search_space_runs_nothing(planted):
    place, marker = planted
    for command in ("search", "run"):
        output = place.run(command, "evil.yaml", *place.data, status=2)
        assert "evil:net, evil:loss would run the code of evil.py" in output
        assert "--own-code" in output
    assert not marker.exists()


@pytest.mark.ray
def test_results_run_nothing(planted):
    place, marker = planted
    place.run("run", "evil.yaml", *place.data, "--name", "mine", "--seeds", "1", "--own-code")
    assert marker.exists(), "with leave it runs"
    assert "identical" in place.run("replay", "mine", "0000", "--own-code")
    shutil.copytree(place.folder("mine"), place.folder("theirs"))
    for there in (True, False):
        marker.unlink(missing_ok=True)
        for command in COMMANDS:
            status = 0 if command[0] in HARMLESS else 2
            output = place.run(*[part.replace("NAME", "theirs") for part in command], status=status)
            if status:
                assert "would run the code of " in output, command
                assert "evil" in output
                assert "--own-code" in output
            assert not marker.exists(), (command, there)
        (place.root / "evil.py").unlink(missing_ok=True)  # from now on with what was kept alone
    changed = place.folder("theirs") / "winner" / "own_code"
    (kept,) = changed.iterdir()
    kept.write_text(kept.read_text() + "\n")
    output = place.run("predict", "theirs", "bands/test/low/0.png", "--own-code", status=2)
    assert "is not the code that was run" in output
    assert not marker.exists()


@pytest.mark.ray
def test_results_are_used_with_the_code_that_was_run_whatever_became_of_the_file(planted):
    place, _ = planted
    text = MODULE.format(marker=str(place.root / "ran"))
    (place.root / "evil.py").write_text(text)
    place.run("run", "evil.yaml", *place.data, "--name", "first", "--seeds", "1", "--own-code")
    (place.root / "evil.py").write_text(text.replace("nn.Flatten()", "nn.Tanh(), nn.Flatten()"))
    assert "identical" in place.run("replay", "first", "0001", "--own-code")
    output = place.run("resume", "first", "--trials", "3", "--own-code", status=2)
    assert "what first was run with has changed: your evil was " in output
    place.run("resume", "first", "--trials", "3", "--own-code", "--accept-changed-code")
    (place.root / "evil.py").write_text("1 / 0\n")
    for trial_id in ("0000", "0002"):
        assert "identical" in place.run("replay", "first", trial_id, "--own-code")
    assert "high" in place.run("predict", "first", "bands/test/high/0.png", "--own-code")
