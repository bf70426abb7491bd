"""Tables and lines at any terminal width: numbers and words are never truncated."""

import dataclasses
import io
import re

import pytest
from rich.cells import cell_len

from handsigns.cli.show import show_table
from handsigns.config.sections import Objective
from handsigns.console.table import fit_table
from handsigns.console.wrap import wrap_text
from handsigns.monitor.live import SearchDisplay
from handsigns.policy.stopping import StoppingCriteria
from handsigns.reporting.leaderboard import write_leaderboard
from handsigns.reporting.reevaluation import table_columns
from tests.support.records import make_search_config

WIDTHS = (40, 80, 200)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    """Fake terminal."""

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Return a factory of fake terminals of a given width."""

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
def test_leaderboard_shows_the_objective_at_any_width(make_search, terminal, width, metric):
    search = make_search(trials=30)
    objective = search.config.objective.model_copy(update={"metric": metric})
    config = search.config.model_copy(update={"objective": objective})
    search = dataclasses.replace(search, config=config)
    out = terminal(width)
    write_leaderboard(search, 10, "table", out)
    lines = lines_of(out, width)
    words = re.findall(r"\w+", " ".join(lines[:2]))
    assert metric in words
    best = search.ranked[0].last_epoch
    shown = f"{best.val_accuracy:.2%}" if metric == "val_accuracy" else f"{best.val_loss:.4g}"
    assert shown in " ".join(lines[1:4])
    if width == 200:
        assert "momentum" in words
    else:
        assert "in a wider" in " ".join(lines[-3:])


@pytest.mark.parametrize("width", WIDTHS)
def test_intervals_are_never_truncated(terminal, width):
    out = terminal(width)
    row = ["1", "0007", "12", "0.1234", "0.1034–0.1434", "97.12%", "29.1%–100.0%", "0.1000, 98.00%"]
    show_table(table_columns(Objective()), [row], objective="val_loss")
    lines = lines_of(out, width)
    for cell in re.split(r" {2,}", lines[-2 if width < 200 else -1].strip()):
        assert cell.startswith("(") or "wider" in cell or cell in row
    assert any("0.1234" in line for line in lines)


@pytest.mark.parametrize("width", WIDTHS)
def test_text_and_headers_are_wrapped_between_words(terminal, width):
    out = terminal(width)
    names = ["a very long name of a class that continues", "b"]
    rows = [[name, "50.0%", "100.0%", "12"] for name in names]
    show_table(("class", "precision", "recall", "images"), rows, left=("class",))
    text = " ".join(" ".join(lines_of(out, width)).split())
    assert all(word in text for word in ("class", "precision", "recall", *names[0].split()))


def test_wide_letters_are_wrapped_by_their_display_width():
    layout = fit_table(
        {"class": ["漢字 " * 20, "手" * 30], "images": ["1", "2"]}, 41, text=["class"]
    )
    assert max(cell_len(line) for row in layout.body for line in row) <= 41
    assert "".join(layout.body[1]).count("手") == 30


def test_table_without_rows_or_without_space():
    assert fit_table({"a": [], "b": []}).body == []
    layout = fit_table({"name": ["x" * 30], "value": ["1"]}, 20, droppable=["value"])
    assert layout.dropped == ["value"]


@pytest.mark.parametrize("width", WIDTHS)
def test_progress_lines_wrap_at_words(make_search, terminal, width):
    search = make_search(trials=3)
    out = terminal(width)
    display = SearchDisplay(
        out, search.config, search.journal, StoppingCriteria(make_search_config())
    )
    message = "3/24 trials finished, 2 running, 1 stopped early, 36 epochs trained, about 2m left"
    display.print_message(message)
    lines = lines_of(out, width)
    assert " ".join(" ".join(lines).split()) == message
    assert (len(lines) == 1) == (len(message) <= width)


def test_command_or_path_is_never_broken():
    path = "/scratch/" + "x" * 60
    assert path in wrap_text(f"written to {path}", 40)
    assert wrap_text("as it is " * 20, None) == "as it is " * 20
