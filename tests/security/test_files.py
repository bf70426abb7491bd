"""Untrusted files run no code, names cannot leave their folder, and text is inert."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.cli import main
from handsigns.console.sanitize import escape_csv_formula, printable
from handsigns.errors import HandsignsError
from handsigns.results.paths import SearchPaths
from handsigns.results.store import open_search


class Payload:
    """Object whose pickle creates a file when loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(scope="module")
def finished(workspace):
    """Run a search with a retrained winner."""
    workspace.run("run", "tiny.yaml", *workspace.data, "--name", "first", "--seeds", "1",
                  "--set", "reevaluation.top=1", "--set", "reevaluation.seeds=1")  # fmt: skip
    return workspace


PLANTED = (
    "journal.jsonl", "data.json", "search.yaml", "environment.json", "warm_start.json",
    "test_ledger.jsonl", "winner/model.safetensors", "winner/config.yaml", "winner/metrics.json",
    "winner/test.json", "winner/onnx.json", "checkpoints/*.safetensors",
    "checkpoints/predictions/*", "suspects.json", "ray/tuner.pkl", "trials.csv",
)  # fmt: skip
QUICK = (
    ("leaderboard", "NAME"),
    ("list",),
    ("replay", "NAME", "0000"),
    ("predict", "NAME", "bands/test/high/0.png"),
    ("test", "NAME"),
    ("suspects", "NAME"),
    ("track", "NAME", "--to", "tensorboard"),
    ("watch", "NAME", "--once"),
    ("search", "tiny.yaml", "--data", "bands", "--warm-start", "NAME", "--dry-run"),
)
SLOW = (
    ("resume", "NAME", "--trials", "7"),
    ("export", "NAME", "--format", "torch-export"),
    ("report", "NAME"),
)
MAY_READ = {
    "resume": ("checkpoints", "ray"),
    "export": ("winner", "search", "data"),
    "report": ("journal", "winner", "test", "environment", "warm", "suspects"),
}
"""Planted files that a slow command may read, by how they begin; it runs only with these."""


@pytest.mark.ray
@pytest.mark.parametrize(
    "commands",
    [pytest.param(QUICK, id="quick"), pytest.param(SLOW, id="slow", marks=pytest.mark.long)],
)
def test_planted_pickles_are_never_loaded(finished, tmp_path, commands):
    """Replace the files of a search by pickles, one kind at a time, and run every command."""
    marker = tmp_path / "ran"
    payload = pickle.dumps(Payload(marker))
    pickle.loads(payload)
    assert marker.exists(), "the payload works"
    marker.unlink()
    script = f"""
import pathlib, shutil
from handsigns.cli import main
payload = {payload!r}
commands = {commands!r}
for number, pattern in enumerate({PLANTED!r}):
    name = f"planted-{{number}}"
    root = pathlib.Path("results", name)
    shutil.copytree("results/first", root)
    (root / "ray").mkdir()
    files = list(root.glob(pattern)) or [root / pattern]
    for file in files:
        file.write_bytes(payload)
    for command in commands:
        if not pattern.startswith({MAY_READ!r}.get(command[0], "")):
            continue
        status = main([part.replace("NAME", name) for part in command])
        assert status in (0, 1, 2), (pattern, command, status)
        assert command != ("list",) or status == 0, "one damaged search does not hide the others"
    shutil.rmtree(root)
"""
    output = run_python(finished, script)
    assert not marker.exists(), output


def run_python(workspace, script: str) -> str:
    import subprocess
    import sys

    completed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=workspace.root, env=workspace.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stdout[-3000:] + completed.stderr[-3000:]
    return completed.stdout


@pytest.mark.ray
@pytest.mark.parametrize(
    "file",
    [
        *("journal.jsonl", "data.json", "search.yaml", "warm_start.json"),
        "reevaluation/journal.jsonl",
    ],
)
def test_corrupt_result_files_are_read_or_rejected(finished, file, tmp_path):
    root = tmp_path / "search"
    shutil.copytree(finished.folder("first"), root)
    content = (root / file).read_bytes() if (root / file).exists() else b"{}"

    @given(offset=st.integers(0, max(len(content) - 1, 0)), junk=st.binary(max_size=12))
    def read(offset, junk):
        (root / file).write_bytes(content[:offset] + junk + content[offset + len(junk) :])
        try:
            search = open_search(SearchPaths(root))
            assert search.journal.records is not None
            assert search.reevaluated_trials is not None
        except HandsignsError as error:
            assert file in str(error)  # noqa: PT017 - either outcome is valid

    read()


@given(st.one_of(st.text(), st.text("./\\~-_aZ0\0\n", max_size=8)))
def test_search_names_cannot_leave_the_results_folder(name):
    results = Path("results")
    try:
        paths = SearchPaths.for_name(results, name)
    except HandsignsError:
        return
    assert paths.root.parent == results
    assert paths.root.name == name
    assert (results / name).resolve().parent == results.resolve()


@given(st.text())
def test_printable_text_has_no_control_characters(text):
    shown = printable(text)
    assert all(ord(c) >= 32 and ord(c) not in range(127, 160) for c in shown)
    shown.encode("utf-8")  # no lone surrogates, which cannot be encoded


@given(st.text())
def test_escaped_text_is_never_a_formula(text):
    assert not escape_csv_formula(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_terminal_escapes_in_errors_are_sanitised(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bad\x1b[2J.yaml").write_text("space: {\x1b[31mdropout: 1}")
    assert main(["search", "bad\x1b[2J.yaml", "--dry-run"]) == 2
    assert main(["leaderboard", "x\x1b]0;owned\x07"]) == 2
    assert "\x1b" not in capsys.readouterr().err
