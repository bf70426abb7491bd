"""Every command that reads a search, in every state that a search can be in."""

import contextlib
import dataclasses
import re
import shlex
import socket
from pathlib import Path

import pytest

from handsigns.cli import main
from handsigns.cli.parser import parse
from handsigns.errors import ResultsError
from handsigns.results.journal import Journal
from handsigns.results.search_lock import search_lock
from handsigns.results.store import open_search
from handsigns.results.test_result import (
    append_test_evaluation,
    read_test_result,
    write_test_result,
)
from handsigns.results.trial import Session
from handsigns.results.winner import read_model_card, write_model_card
from handsigns.tuning.request import SearchResult
from handsigns.workflow.trials import FinishedRun
from tests.support.records import make_spec
from tests.support.scripted import write_scripted_winner

pytestmark = pytest.mark.slow

STATES = (
    "empty", "running", "interrupted", "finished", "without result",
    "retrained", "tested", "picked after a test", "tested after a test", "damaged test",
)  # fmt: skip
UNFINISHED = ("empty", "interrupted")
RUNNING = ("running",)
WITHOUT_RESULT = ("empty", "without result")
WITH_WINNER = STATES[STATES.index("retrained") :]
AFTER_TEST = ("picked after a test", "tested after a test")
COMMANDS = (
    "leaderboard it", "leaderboard it --format json", "list", "watch it --once", "report it",
    "compare it it", "resume it", "reevaluate it", "retrain it", "test it", "predict it none.png",
    "export it --format torch-export", "replay it 0000", "audit it", "dashboard it",
    "track it --to tensorboard", "plan --from it",
)  # fmt: skip
NEXT = {
    "empty": "resume it",
    "running": "watch it",
    "interrupted": "resume it",
    "finished": "retrain it",
    "without result": "resume it --trials 2",
    "retrained": "test it",
    "tested": "predict it IMAGE…",
    "picked after a test": "test it --after-test",
    "tested after a test": "predict it IMAGE…",
    "damaged test": "test it",
}


@pytest.fixture
def in_state(make_search, few_hands, tmp_path, monkeypatch):
    """Return a function that creates a search named `it` in a given state."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HANDSIGNS_CACHE", str(tmp_path / "cache"))
    # Rendering takes seconds, and other tests look at figures.
    monkeypatch.setattr("handsigns.reporting.write.write_figure", lambda *_: None)
    with contextlib.ExitStack() as stack:

        def make(state):
            unfinished = state in ("running", "interrupted")
            stored = make_search("it", trials=6, end=not unfinished, with_failures=False)
            paths = stored.paths
            if state in WITHOUT_RESULT:
                paths.journal.unlink()
            if state == "without result":
                journal = Journal(paths.journal, writable=True)
                journal.start_session(Session(stored.data.info.fingerprint, {}))
                journal.start_trial(make_spec("0000", {"learning_rate": 0.01}))
                journal.end_trial("0000", "failed", "Traceback\nRuntimeError: no")
                journal.end_session("all trials are done", interrupted=False)
                journal.close()
            if state == "running":
                stack.enter_context(search_lock(paths))
            if state in WITH_WINNER:
                add_winner(stored, state)
            return open_search(paths)

        yield make


@pytest.fixture
def port_in_use():
    """Port on which another program listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def add_winner(stored, state):
    """Add the winner and its test result for a state."""
    write_scripted_winner(stored)
    folder, after = stored.paths.winner, state in AFTER_TEST
    record = stored.trial(None)
    card = dataclasses.replace(
        read_model_card(folder),
        selected_by="user" if after else "rank",
        selected_after_test=after,
    )
    write_model_card(folder, card)
    if state == "retrained":
        stored.paths.test_ledger.unlink()
    if state in ("retrained", "picked after a test"):
        (folder / "test.json").unlink()
    elif state == "tested after a test":
        result = dataclasses.replace(read_test_result(folder), selected_after_test=True)
        append_test_evaluation(stored.paths.test_ledger, record.trial_id, "x", 1, 2)
        write_test_result(folder, result)
    elif state == "damaged test":
        (folder / "test.json").write_text('{"accuracy":')


def suggested_commands(text):
    """Return the arguments of each command that a text suggests."""
    return [shlex.split(found) for found in re.findall(r"python -m handsigns ([^;\n)]*)", text)]


def is_possible(arguments, state):
    verb, options = arguments[0], arguments[2:]
    if state in RUNNING and verb in ("resume", "reevaluate", "retrain", "audit"):
        return False
    match verb:
        case "resume":
            return state in UNFINISHED or "--trials" in options
        case "reevaluate" | "retrain":
            return state not in WITHOUT_RESULT
        case "test":
            return state in WITH_WINNER and (state in AFTER_TEST) == ("--after-test" in options)
        case "predict" | "export" | "serve":
            return state in WITH_WINNER
        case "watch":
            return state in RUNNING
    return True


def test_an_interrupted_search_has_paused_trials(in_state):
    statuses = {record.status for record in in_state("interrupted").journal.records}
    assert {"running", "paused"} <= statuses


@pytest.mark.parametrize("state", STATES)
def test_each_command_suggests_only_possible_commands(
    in_state, capsys, monkeypatch, port_in_use, state
):
    in_state(state)
    # It would serve until Ctrl-C.
    monkeypatch.setattr("handsigns.reporting.optuna_dashboard.serve", lambda *_: None)
    for line in (*COMMANDS, f"serve it --port {port_in_use}"):
        status = main(line.split())
        output = "".join(capsys.readouterr())
        assert status in (0, 1, 2), line
        assert "Traceback (most" not in output, line
        assert not re.search(r"\b1 (trials|epochs|seeds|runs|times)\b", output), (line, output)
        for arguments in suggested_commands(output):
            parse(arguments)
            assert is_possible(arguments, state), (line, output)


@pytest.mark.parametrize("state", STATES)
def test_a_command_ends_with_the_next_step(in_state, capsys, state):
    in_state(state)
    assert main(["leaderboard", "it"]) == 0
    output = capsys.readouterr()
    assert output.err.strip().endswith(f"python -m handsigns {NEXT[state]}")
    assert "next: " not in output.out
    assert main(["report", "it"]) == 0
    assert capsys.readouterr().out.strip().endswith(f"python -m handsigns {NEXT[state]}")


@pytest.mark.parametrize("state", STATES)
def test_list_marks_winners_chosen_after_a_test(in_state, capsys, state):
    in_state(state)
    assert main(["list"]) == 0
    assert ("(chosen by the user after a test)" in capsys.readouterr().out) == (state in AFTER_TEST)


@pytest.mark.parametrize(
    ("state", "line", "message"),
    [
        ("finished", "retrain it --trial 3 --seeds 1", "there is no winner of it yet"),
        (
            "tested",
            "retrain it --trial 0 --ensemble",
            "the previous winner is intact, in results/it",
        ),
        ("retrained", "test it", "no test result was recorded"),
        ("picked after a test", "test it --after-test --data x", "no test result was recorded"),
        ("tested", "predict it 'a b.png'", "the search was not changed"),
        ("finished", "replay it 0001", "the search was not changed"),
        ("finished", "audit it --trust-user-code", "the search was not changed"),
        ("tested", "export it --format torch-export", "no graph was written"),
    ],
)
def test_ctrl_c_reports_state_and_retry_command(
    in_state, capsys, monkeypatch, state, line, message
):
    in_state(state)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    arguments = shlex.split(line)
    monkeypatch.setattr("handsigns.workflow.data.open_data", interrupt)
    monkeypatch.setattr("handsigns.cli.commands.predict.load_winner", interrupt)
    assert main(arguments) == 130
    output = capsys.readouterr().err
    assert f"interrupted; {message}" in output
    (retry,) = suggested_commands(output)
    assert vars(parse(retry)) | {"seeds": 0} == vars(parse(arguments)) | {"seeds": 0}


@pytest.mark.parametrize("command", ["leaderboard", "retrain", "watch"])
def test_a_path_in_place_of_a_name_suggests_the_name(
    in_state, capsys, tmp_path, monkeypatch, command
):
    in_state("finished")
    for path in ("results/it", "results/it/", "./results/it/journal.jsonl"):
        assert main([command, path]) == 2
        assert (
            capsys.readouterr()
            .err.strip()
            .endswith("is a path; give the name of the search instead: it")
        )
    monkeypatch.chdir(tmp_path.parent)
    elsewhere = f"{tmp_path.name}/results/it"
    assert main([command, elsewhere]) == 2
    hint = f"it --results {tmp_path.name}/results"
    assert capsys.readouterr().err.strip().endswith(hint)
    assert main([command, "no/such"]) == 2
    assert "is not a valid search name" in capsys.readouterr().err


def test_run_writes_the_report_even_if_a_later_step_fails(in_state, monkeypatch, capsys):
    search = in_state("finished")
    outcome = SearchResult(search.journal.records, "all trials are done", interrupted=False)

    def fail(*_, **__):
        raise ResultsError("every seed diverged")

    monkeypatch.setattr("handsigns.cli.commands.run.plan_from_options", lambda _: search)
    monkeypatch.setattr(
        "handsigns.cli.commands.run.start_search", lambda *_: FinishedRun(search, outcome)
    )
    monkeypatch.setattr("handsigns.cli.commands.run.reevaluate_and_show", fail)
    assert main(["run", "quick"]) == 2
    assert Path("reports/it/index.html").is_file()
    assert "every seed diverged" in capsys.readouterr().err
