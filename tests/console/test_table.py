"""Tables and lines in terminals of any width: whole numbers, whole words."""

import dataclasses
import io
import re

import pytest
from rich.cells import cell_len

from handsigns.cli.show import show_table
from handsigns.console.table import lay_out
from handsigns.console.wrap import wrapped
from handsigns.monitor.live import Display
from handsigns.policy.stopping import StoppingCriteria
from handsigns.reporting.leaderboard import write_leaderboard
from handsigns.reporting.reevaluation import COLUMNS
from tests.support.records import make_study

WIDTHS = (40, 80, 200)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """A fake terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Makes a fake terminal of a given width."""

    def make(width):
        monkeypatch.setenv("COLUMNS", str(width))
        monkeypatch.setenv("TERM", "xterm")
        terminal = Terminal()
        monkeypatch.setattr("sys.stdout", terminal)
        return terminal

    return make


def lines_of(terminal, width):
    lines = ANSI.sub("", terminal.getvalue()).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)
    return lines


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("metric", ["val_loss", "val_accuracy"])
def test_the_leaderboard_shows_the_objective_at_any_width(make_search, terminal, width, metric):
    search = make_search(trials=30)
    objective = search.study.objective.model_copy(update={"metric": metric})
    study = search.study.model_copy(update={"objective": objective})
    search = dataclasses.replace(search, study=study)
    out = terminal(width)
    write_leaderboard(search, 10, "table", out)
    lines = lines_of(out, width)
    words = re.findall(r"\w+", " ".join(lines[:2]))
    assert metric in words
    best = search.ranked[0].last
    shown = f"{best.val_accuracy:.2%}" if metric == "val_accuracy" else f"{best.val_loss:.4g}"
    assert shown in " ".join(lines[1:4])
    if width == 200:
        assert "momentum" in words
    else:
        assert "in a wider" in " ".join(lines[-3:])


@pytest.mark.parametrize("width", WIDTHS)
def test_intervals_are_whole_or_not_shown(terminal, width):
    out = terminal(width)
    row = ["1", "0007", "12", "0.1234", "0.1034–0.1434", "97.12%", "29.1%–100.0%", "0.1000, 98.00%"]
    show_table(COLUMNS, [row], objective="val_loss")
    lines = lines_of(out, width)
    for cell in re.split(r" {2,}", lines[-2 if width < 200 else -1].strip()):
        assert cell.startswith("(") or "wider" in cell or cell in row
    assert any("0.1234" in line for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_text_is_wrapped_at_words_and_headers_are_not_split(terminal, width):
    out = terminal(width)
    names = ["a very long name of a class that goes on", "b"]
    rows = [[name, "50.0%", "100.0%", "12"] for name in names]
    show_table(("class", "precision", "recall", "images"), rows, left=("class",))
    text = " ".join(" ".join(lines_of(out, width)).split())
    assert all(word in text for word in ("class", "precision", "recall", *names[0].split()))


def test_a_table_without_rows_or_room():
    assert lay_out({"a": [], "b": []}).body == []
    layout = lay_out({"name": ["x" * 30], "value": ["1"]}, 20, spared=["value"])
    assert layout.dropped == ["value"]


@pytest.mark.parametrize("width", WIDTHS)
def test_progress_lines_wrap_at_words(make_search, terminal, width):
    search = make_search(trials=3)
    out = terminal(width)
    display = Display(out, search.study, search.journal, StoppingCriteria(make_study()))
    message = "3/24 trials ended, 2 running, 1 stopped early, 36 epochs trained, about 2m left"
    display.say(message)
    lines = lines_of(out, width)
    assert " ".join(" ".join(lines).split()) == message
    assert (len(lines) == 1) == (len(message) <= width)


def test_a_command_or_path_is_never_broken():
    path = "/scratch/" + "x" * 60
    assert path in wrapped(f"written to {path}", 40)
    assert wrapped("as it is " * 20, None) == "as it is " * 20
