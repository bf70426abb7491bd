"""Killed and hung processes: finished work is kept, unfinished work resumes."""

import os
import signal

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults]

ASHA = ("--trials", "8", "--max-epochs", "40", "--set", "scheduler.grace_period=10")


@pytest.mark.versions
def test_killed_search_makes_the_decisions_of_an_uninterrupted_one(workspace):
    options = (*workspace.data, *workspace.concurrent, *ASHA, "--name", "killed")
    journal = workspace.folder("killed") / "journal.jsonl"
    recorded = b""
    for number, epochs in enumerate((30, 60, 60)):  # the last kill interrupts a resume
        command = ("resume", "killed") if number else ("search", "tiny.yaml", *options)
        process = workspace.start(*command)
        sessions = len(workspace.events("killed", "session_started"))
        workspace.wait_for_epochs("killed", epochs, process)
        workspace.wait_for(
            lambda n=sessions: len(workspace.events("killed", "session_started")) > n, process
        )
        if number == 1:
            # A trial and the driver die at the same time.
            os.kill(workspace.trial_process("killed"), signal.SIGKILL)
        workspace.kill(process, "killed")
        now = journal.read_bytes()
        assert now.startswith(recorded), "the journal is append-only"
        recorded = now[: now.rfind(b"\n") + 1]

    output = workspace.run("resume", "killed")
    assert "8 trials: " in output
    assert journal.read_bytes().startswith(recorded)
    audit = workspace.audit("killed")
    assert "\n8 trials, " in f"\n{audit}"
    assert "8 replayed" in audit
    assert " 0 resumed" not in audit


def test_search_killed_after_its_last_trial_is_concluded(workspace):
    workspace.run("search", "tiny.yaml", *workspace.data, "--trials", "2", "--name", "last")
    folder, rows = workspace.folder("last"), workspace.rows("last")
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"event": "session_ended"' in lines[-1]
    journal.write_bytes(b"".join(lines[:-1]))
    (folder / "leaderboard.csv").unlink()
    output = workspace.run("resume", "last")
    assert "the search ended after" in output
    assert "all 2 trials of last are done" in output
    assert workspace.rows("last") == rows
    assert "all 2 trials of last are done" in workspace.run("resume", "last", status=2)
    workspace.audit("last")


@pytest.mark.long
def test_killed_reevaluation_can_be_resumed(workspace):
    workspace.run("search", "tiny.yaml", *workspace.data, "--trials", "3", "--max-epochs", "40",
              "--set", "scheduler.name=none", "--name", "again")  # fmt: skip
    command = ("reevaluate", "again", "--seeds", "2", "--no-report")
    process = workspace.start(*command)
    workspace.wait_for_epochs("again/reevaluation", 50, process)
    workspace.kill(process, "again/reevaluation")
    before = (workspace.folder("again") / "reevaluation" / "journal.jsonl").read_bytes()
    # A smaller plan does not wait for the interrupted runs.
    narrow = workspace.run("reevaluate", "again", "--top", "1", "--seeds", "1", "--no-report")
    assert "Re-evaluated with a fresh seed" in narrow
    output = workspace.run(*command)
    assert "Re-evaluated with 2 fresh seeds" in output
    after = (workspace.folder("again") / "reevaluation" / "journal.jsonl").read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1])
    for name in {
        event["trial_id"] for event in workspace.events("again/reevaluation", "trial_ended")
    }:
        assert "identical" in workspace.run("replay", "again", name)


def test_killed_trial_is_retried_up_to_the_limit(workspace):
    process = workspace.start(
        "search",
        "tiny.yaml",
        *workspace.long,
        "--trials",
        "2",
        "--name",
        "hurt",
        "--set",
        "fault_tolerance.max_retries=1",
    )
    workspace.wait_for_epochs("hurt", 20, process)
    victim = workspace.events("hurt", "epoch")[-1]["trial_id"]
    os.kill(workspace.trial_process("hurt", victim), signal.SIGKILL)
    num_epochs = len([e for e in workspace.events("hurt", "epoch") if e["trial_id"] == victim])

    def was_retried() -> bool:
        epochs = [e for e in workspace.events("hurt", "epoch") if e["trial_id"] == victim]
        return len({e["node"] for e in epochs}) == 2 and len(epochs) > num_epochs + 2

    workspace.wait_for(was_retried, process)
    partial = workspace.folder("hurt") / "checkpoints" / f".{victim}.safetensors.1-dead.tmp"
    partial.touch()  # as left by a process that dies while writing
    os.kill(workspace.trial_process("hurt", victim), signal.SIGKILL)
    output = workspace.finish(process)
    assert not partial.exists()
    assert f"trial {victim} failed: the trial's process died" in output
    rows = {row["trial_id"]: row for row in workspace.rows("hurt", "trials")}
    hurt = rows.pop(victim)
    assert hurt["status"] == "failed"
    assert "it had been restarted 1 time" in hurt["error"]
    assert [row["status"] for row in rows.values()] == ["completed"], "the search continues"
    epochs = [e for e in workspace.events("hurt", "epoch") if e["trial_id"] == victim]
    numbers = [e["metrics"]["epoch"] for e in epochs]
    assert numbers == list(range(1, len(numbers) + 1)), "resumed from its checkpoint"
    assert "identical" in workspace.run("replay", "hurt", victim)


@pytest.mark.long
def test_hung_trial_is_killed_and_retried(workspace):
    process = workspace.start(
        "search",
        "tiny.yaml",
        *workspace.long,
        "--name",
        "hung",
        "--set",
        "fault_tolerance.report_timeout=10s",
    )
    workspace.wait_for_epochs("hung", 20, process)
    os.kill(workspace.trial_process("hung"), signal.SIGSTOP)
    output = workspace.finish(process)
    assert "has not reported for 10s; killing its process" in output
    assert {row["status"] for row in workspace.rows("hung")} == {"completed"}
    assert sorted(row["retries"] for row in workspace.rows("hung", "trials")) == ["0", "0", "1"]
    workspace.audit("hung")
