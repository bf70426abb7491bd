"""User errors: one message, exit status 2, no traceback."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from handsigns.cli import main
from handsigns.cli.parser import COMMANDS
from handsigns.config.presets import list_presets
from handsigns.console.program import program
from tests.support.workspace import REPOSITORY

QUICK = str(list_presets()["quick"])


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSIGNS_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "qick"], "no search space qick; name a YAML file, or one of: cluster"),
        (["search", QUICK, "--trials", "0"], "--trials 0, budget.trials: 0 is out of bounds"),
        (["search", QUICK, "--time-budget", "soon"], "'soon' is not a positive duration"),
        (["search", QUICK, "--target", "2"], "--target 2.0, budget.target: 2.0 is out of bounds"),
        (["search", QUICK, "--gpus-per-trial", "-1"], "-1 is out of bounds; it must be at least 0"),
        (["search", QUICK, "--set", "space.droput=1"], "did you mean dropout?"),
        (["search", QUICK, "--name", "../out"], "'../out' is not a valid search name"),
        (["search", QUICK, "--name", "a" * 101], "is not a valid search name"),
        (
            ["search", QUICK, "--data", "nowhere"],
            "folder nowhere does not exist; pass an existing one",
        ),
        (["leaderboard", "none"], "no search named none in results; existing searches: none"),
        (["leaderboard", "../../etc"], "'../../etc' is not a valid search name"),
        (["resume", "none"], "no search named none"),
        (["watch", "none"], "no search named none"),
        (["retrain", "none"], "no search named none"),
        (["retrain", "none", "--seeds", "1001"], "--seeds: 1001 is not between 1 and 1000"),
        (["run", QUICK, "--seeds", "1001"], "--seeds: 1001 is not between 1 and 1000"),
        (
            ["submit", QUICK, "--address", "http://head:8265", "--seeds", "1001"],
            "--seeds: 1001 is not between 1 and 1000",
        ),
        (["test", "none"], "no search named none"),
        (["predict", "none", "x.jpg"], "no search named none"),
        (["export", "none", "--format", "onnx"], "no search named none"),
        (["serve", "none"], "no search named none"),
        (["replay", "none", "0000"], "no search named none"),
        (["audit", "none"], "no search named none"),
        (["report", "none"], "no search named none"),
        (["suspects", "none"], "no search named none"),
        (
            ["search", QUICK, "--relabel", "none.csv"],
            "none.csv cannot be read: No such file",
        ),
        (["compare", "none", "other"], "no search named none"),
        (["compare", "one"], "name at least two searches to compare"),
        (["prepare", "nowhere", "dest"], "folder nowhere does not exist"),
    ],
)
def test_a_user_error_prints_one_message_with_status_2(arguments, message, capsys, tmp_path):
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert not (tmp_path / "results").exists(), "nothing was started"


@pytest.mark.parametrize(
    "arguments", [[], ["serch"], ["search"], ["leaderboard", "x", "--top", "0"]]
)
def test_wrong_usage_exits_with_status_2(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert f"usage: {program()} " in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--results", "--reports"])
def test_folders_that_are_not_utf8_are_rejected(option, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["report", "none", option, "r\udcff"])
    assert caught.value.code == 2
    assert f"{option}: r\\udcff: the path is not UTF-8; rename it" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command_has_an_example(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"example:\n  {program()} {command}" in capsys.readouterr().out


def test_an_empty_list_suggests_run(capsys):
    assert main(["list"]) == 0
    assert f"no search in results yet; start one: {program()} run" in capsys.readouterr().out


def test_a_dry_run_for_a_cluster_ignores_this_machine(few_hands, capsys):
    cluster = ("--address", "10.0.0.1:6379", "--gpus-per-trial", "1", "--cpus-per-trial", "999")
    assert main(["search", QUICK, "--dry-run", *cluster]) == 0
    assert "would run on the cluster at 10.0.0.1:6379" in capsys.readouterr().out


def test_text_that_a_terminal_cannot_show_is_escaped(tmp_path, monkeypatch):
    for split in ("train", "val", "test"):
        for number, label in enumerate(("żaba", "dog")):
            (tmp_path / "pets" / split / label).mkdir(parents=True)
            image = Image.new("RGB", (16, 16), (200 * number, 0, len(split)))
            image.save(tmp_path / "pets" / split / label / "0.png")
    output = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(output, encoding="latin-1"))
    assert main(["check", "pets", "--size", "16"]) == 0
    assert "\\u017caba" in output.getvalue().decode("latin-1")


@pytest.mark.parametrize(("scheduler", "noted"), [("asha", True), ("none", False)])
def test_a_sampler_that_needs_complete_trials_is_noted(few_hands, capsys, scheduler, noted):
    settings = ["--set", "searcher.name=gp", "--set", f"scheduler.name={scheduler}"]
    assert main(["search", QUICK, "--dry-run", "--gpus-per-trial", "0", *settings]) == 0
    assert ("learns only from trials trained to the end" in capsys.readouterr().out) == noted


@pytest.mark.parametrize("name", list_presets())
def test_every_preset_passes_a_dry_run(name, few_hands, capsys, tmp_path):
    assert main(["search", name, "--dry-run", "--gpus-per-trial", "0"]) == 0
    out = capsys.readouterr().out
    assert "would run " in out
    assert "learning_rate:" in out
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "--help"],
        ["list"],
        ["search", QUICK, "--trials", "0"],
        ["search", "no-such-space"],
        ["leaderboard", "no-such-search"],
        ["retrain", "no-such-search"],
        ["audit", "no-such-search"],
    ],
)
def test_light_commands_import_no_heavy_library(arguments, tmp_path):
    script = (
        f"import sys\nsys.path.insert(0, {str(REPOSITORY)!r})\nfrom handsigns.cli import main\n"
        f"try: main({arguments!r})\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'ray', 'optuna', 'torchvision', 'pandas', 'numpy'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "assert not loaded, loaded\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path, capture_output=True)


def test_a_full_disk_is_reported_without_traceback():
    """Simulated by a file size limit: neither error has a file name of its own."""
    script = """
import resource, signal, sys
from argparse import Namespace
from pathlib import Path
from handsigns.cli import _run
from handsigns.io.atomic import write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10))
statuses = [
    _run(Namespace(run=lambda _: write_text(Path("table.csv"), "x" * 100))),
    _run(Namespace(run=lambda _: print("x" * 100))),
]
assert statuses == [2, 2], statuses
"""
    command = [sys.executable, "-c", script]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    with Path("out.txt").open("w") as out:
        errors = subprocess.run(
            command, check=True, env=environment, stdout=out, stderr=subprocess.PIPE, text=True
        ).stderr
    assert errors == "error: table.csv: File too large\nerror: File too large\n"


def test_read_errors_end_long_running_commands_with_status_2(monkeypatch, capsys):
    """Such an error of a disk has no file name, as that of a terminal that was closed."""

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("handsigns.cli.commands.test.open_synced", fail)
    assert main(["test", "first"]) == 2
    assert capsys.readouterr().err == "error: Input/output error\n"
