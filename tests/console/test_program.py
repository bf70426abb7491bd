"""Suggested commands take the form in which the program was invoked."""

import sys
from pathlib import Path

import pytest

from handsigns.console.program import CONSOLE_SCRIPT, command, program
from handsigns.results.paths import SearchPaths


@pytest.fixture
def invoked_as(monkeypatch):
    return lambda *argv: monkeypatch.setattr(sys, "argv", list(argv))


@pytest.mark.parametrize(
    ("argv0", "expected"),
    [
        ("tune_main.py", "python tune_main.py"),
        ("/home/me/handsigns/tune_main.py", "python /home/me/handsigns/tune_main.py"),
        ("../my work/tune_main.py", "python '../my work/tune_main.py'"),
        ("/usr/local/bin/handsigns", "handsigns"),
        ("C:/venv/Scripts/handsigns.exe", "handsigns"),
        ("/lib/python3.12/site-packages/handsigns/__main__.py", "python -m handsigns"),
        ("/venv/bin/jupyter-lab", "python -m handsigns"),
        ("-c", "python -m handsigns"),
        ("", "python -m handsigns"),
    ],
)
def test_program_is_named_as_it_was_invoked(invoked_as, argv0, expected):
    invoked_as(argv0, "list")
    assert program() == expected


def test_program_without_arguments(invoked_as):
    invoked_as()
    assert program() == "python -m handsigns"


def test_words_are_quoted_unless_the_user_fills_them_in(invoked_as):
    invoked_as("/venv/bin/handsigns")
    assert command("predict", "mine", "IMAGE…") == "handsigns predict mine IMAGE…"
    assert command("replay", "mine", "TRIAL") == "handsigns replay mine TRIAL"
    assert command("run", "--data", Path("my photos")) == "handsigns run --data 'my photos'"
    assert command("list", program_name="python -m other") == "python -m other list"


def test_commands_of_a_search_name_an_unusual_results_folder(invoked_as):
    invoked_as("tune_main.py")
    paths = SearchPaths(Path("results/first"))
    assert paths.command("retrain", "--trial", "ID") == (
        "python tune_main.py retrain first --trial ID"
    )
    assert paths.reevaluation.resume_command == "python tune_main.py reevaluate first"
    elsewhere = SearchPaths(Path("my results/first"))
    assert elsewhere.resume_command == "python tune_main.py resume first --results 'my results'"
    assert elsewhere.reevaluation.resume_command == (
        "python tune_main.py reevaluate first --results 'my results'"
    )
    assert elsewhere.command("test", program_name=CONSOLE_SCRIPT).startswith("handsigns test first")
