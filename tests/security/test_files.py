"""Files that others made run nothing, names lead nowhere else, and text stays text."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handsigns.cli import main
from handsigns.console.sanitize import no_formula, printable
from handsigns.errors import HandsignsError
from handsigns.results.paths import SearchPaths
from handsigns.results.store import open_search


class Payload:
    """A pickle of it makes a file as soon as it is loaded."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.fixture(scope="module")
def done(place):
    """A search with a winner."""
    place.run("run", "tiny.yaml", *place.data, "--name", "first", "--seeds", "1")
    return place


PLANTED = (
    "journal.jsonl", "data.json", "study.yaml", "environment.json", "warm_start.json",
    "test_ledger.jsonl", "winner/model.safetensors", "winner/config.yaml", "winner/metrics.json",
    "winner/test.json", "checkpoints/*", "ray/tuner.pkl", "trials.csv",
)  # fmt: skip
COMMANDS = (
    ("leaderboard", "NAME"),
    ("list",),
    ("replay", "NAME", "0000"),
    ("predict", "NAME", "bands/test/high/0.png"),
    ("test", "NAME"),
    ("export", "NAME", "--format", "torch-export"),
    ("report", "NAME"),
    ("track", "NAME", "--to", "tensorboard"),
    ("watch", "NAME", "--once"),
    ("resume", "NAME", "--trials", "7"),
    ("search", "tiny.yaml", "--data", "bands", "--warm-start", "NAME", "--dry-run"),
)
SLOW = {
    "resume": ("checkpoints", "ray"),
    "export": ("winner", "study", "data"),
    "report": ("journal", "winner", "test", "environment", "warm"),
}


@pytest.mark.ray
def test_a_planted_pickle_does_not_run(done, tmp_path):
    """All files of a search are replaced by pickles, one kind at a time, and every command run."""
    marker = tmp_path / "ran"
    payload = pickle.dumps(Payload(marker))
    pickle.loads(payload)
    assert marker.exists(), "the payload works"
    marker.unlink()
    script = f"""
import pathlib, shutil
from handsigns.cli import main
payload = {payload!r}
commands = {COMMANDS!r}
for number, pattern in enumerate({PLANTED!r}):
    name = f"planted-{{number}}"
    root = pathlib.Path("results", name)
    shutil.copytree("results/first", root)
    (root / "ray").mkdir()
    files = list(root.glob(pattern)) or [root / pattern]
    for file in files:
        file.write_bytes(payload)
    for command in commands:
        # What takes long is tried with the files that it may come to read after the others.
        if not pattern.startswith({SLOW!r}.get(command[0], "")):
            continue
        status = main([part.replace("NAME", name) for part in command])
        assert status in (0, 1, 2), (pattern, command, status)
        assert command != ("list",) or status == 0, "one damaged search does not hide the others"
    shutil.rmtree(root)
"""
    output = run_python(done, script)
    assert not marker.exists(), output


def run_python(place, script: str) -> str:
    import subprocess
    import sys

    finished = subprocess.run(
        [sys.executable, "-c", script],
        cwd=place.root, env=place.environment, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
    return finished.stdout


@pytest.mark.ray
@pytest.mark.parametrize(
    "file",
    [
        *("journal.jsonl", "data.json", "study.yaml", "warm_start.json"),
        "reevaluation/journal.jsonl",
    ],
)
def test_any_result_file_is_read_or_refused(done, file, tmp_path):
    root = tmp_path / "search"
    shutil.copytree(done.folder("first"), root)
    whole = (root / file).read_bytes() if (root / file).exists() else b"{}"

    @given(place=st.integers(0, max(len(whole) - 1, 0)), junk=st.binary(max_size=12))
    def read(place, junk):
        (root / file).write_bytes(whole[:place] + junk + whole[place + len(junk) :])
        try:
            search = open_search(SearchPaths(root))
            assert search.journal.records is not None
            assert search.finalists is not None
        except HandsignsError as error:
            assert file in str(error)  # noqa: PT017 - either outcome is right

    read()


@given(st.one_of(st.text(), st.text("./\\~-_aZ0\0\n", max_size=8)))
def test_names_stay_in_their_folder(name):
    results = Path("results")
    try:
        paths = SearchPaths.named(results, name)
    except HandsignsError:
        return
    assert paths.root.parent == results
    assert paths.root.name == name
    assert (results / name).resolve().parent == results.resolve()


@given(st.text())
def test_no_text_commands_a_terminal(text):
    shown = printable(text)
    assert all(ord(c) >= 32 and ord(c) not in range(127, 160) for c in shown)
    shown.encode("utf-8")  # no lone surrogates, which cannot be written


@given(st.text())
def test_no_text_is_a_formula(text):
    assert not no_formula(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_escapes_in_an_error_are_shown_not_obeyed(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("bad\x1b[2J.yaml").write_text("space: {\x1b[31mdropout: 1}")
    assert main(["search", "bad\x1b[2J.yaml", "--dry-run"]) == 2
    assert main(["leaderboard", "x\x1b]0;owned\x07"]) == 2
    assert "\x1b" not in capsys.readouterr().err
