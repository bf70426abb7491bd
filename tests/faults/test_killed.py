"""Processes are killed; nothing that was finished is lost, and what was not goes on."""

import os
import signal

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults]

ASHA = ("--trials", "8", "--max-epochs", "40")


@pytest.mark.versions
def test_a_search_killed_repeatedly_decides_as_an_uninterrupted_one(place):
    arguments = ("search", "tiny.yaml", *place.data, *place.two, *ASHA, "--name", "killed")
    journal = place.folder("killed") / "journal.jsonl"
    process = place.start(*arguments)
    place.wait_for(journal.exists, process)
    place.kill(process, "killed")  # in its first seconds, before there is a trial

    recorded = b""
    for epochs in (30, 60, 60):  # the last one, in the middle of resuming
        process = place.start("resume", "killed")
        sessions = len(place.events("killed", "session"))
        place.wait_for_epochs("killed", epochs, process)
        place.wait_for(lambda n=sessions: len(place.events("killed", "session")) > n, process)
        if epochs == 60 and sessions == 1:
            os.kill(place.trial_process("killed"), signal.SIGKILL)  # a trial and the driver at once
        place.kill(process, "killed")
        now = journal.read_bytes()
        assert now.startswith(recorded), "what was recorded stays as it was"
        recorded = now[: now.rfind(b"\n") + 1]

    output = place.run("resume", "killed")
    assert "8 trials: " in output
    assert journal.read_bytes().startswith(recorded)
    found = place.audit("killed")
    assert found.startswith("8 trials, ")
    assert "8 replayed" in found
    assert " 0 resumed" not in found


def test_a_search_killed_when_all_was_done_is_concluded(place):
    place.run("search", "tiny.yaml", *place.data, "--trials", "2", "--name", "last")
    folder, whole = place.folder("last"), place.rows("last")
    journal = folder / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    assert b'"event": "pause"' in lines[-1]
    journal.write_bytes(b"".join(lines[:-1]))
    (folder / "leaderboard.csv").unlink()
    output = place.run("resume", "last")
    assert "the search ended after" in output
    assert "all 2 trials of last are done" in output
    assert place.rows("last") == whole
    assert "all 2 trials of last are done" in place.run("resume", "last", status=2)
    place.audit("last")


@pytest.mark.long
def test_a_reevaluation_killed_in_the_middle_goes_on(place):
    place.run("search", "tiny.yaml", *place.data, "--trials", "3", "--max-epochs", "40",
              "--set", "scheduler.name=none", "--name", "again")  # fmt: skip
    command = ("reevaluate", "again", "--seeds", "2", "--no-report")
    process = place.start(*command)
    place.wait_for_epochs("again/reevaluation", 50, process)
    place.kill(process, "again/reevaluation")
    before = (place.folder("again") / "reevaluation" / "journal.jsonl").read_bytes()
    # Another wish, for which what was broken off is not needed, does not wait for it.
    narrow = place.run("reevaluate", "again", "--top", "1", "--seeds", "1", "--no-report")
    assert "Trained again with a fresh seed" in narrow
    output = place.run(*command)
    assert "Trained again with 2 fresh seeds" in output
    after = (place.folder("again") / "reevaluation" / "journal.jsonl").read_bytes()
    assert after.startswith(before[: before.rfind(b"\n") + 1])
    for name in {event["trial_id"] for event in place.events("again/reevaluation", "end")}:
        assert "identical" in place.run("replay", "again", name)


def test_a_killed_trial_is_retried_a_limited_number_of_times(place):
    process = place.start(
        "search", "tiny.yaml", *place.long, "--name", "hurt", "--set", "faults.retries=1"
    )
    place.wait_for_epochs("hurt", 20, process)
    victim = place.events("hurt", "epoch")[-1]["trial_id"]
    os.kill(place.trial_process("hurt", victim), signal.SIGKILL)
    trained = len([e for e in place.events("hurt", "epoch") if e["trial_id"] == victim])

    def goes_on() -> bool:
        epochs = [e for e in place.events("hurt", "epoch") if e["trial_id"] == victim]
        return len({e["node"] for e in epochs}) == 2 and len(epochs) > trained + 2

    place.wait_for(goes_on, process)
    half = place.folder("hurt") / "checkpoints" / f".{victim}.safetensors.1-dead.tmp"
    half.touch()  # as of one that dies while it writes
    os.kill(place.trial_process("hurt", victim), signal.SIGKILL)
    output = place.finish(process)
    assert not half.exists()
    assert f"trial {victim} failed: the trial's process died" in output
    rows = {row["trial_id"]: row for row in place.rows("hurt", "trials")}
    hurt = rows.pop(victim)
    assert hurt["status"] == "failed"
    assert "it had been restarted 1 time" in hurt["error"]
    assert [row["status"] for row in rows.values()] == ["completed"] * 2, "the search continues"
    epochs = [e for e in place.events("hurt", "epoch") if e["trial_id"] == victim]
    numbers = [e["metrics"]["epoch"] for e in epochs]
    assert numbers == list(range(1, len(numbers) + 1)), "from its checkpoint, not from the start"
    assert "identical" in place.run("replay", "hurt", victim)


def test_a_trial_that_hangs_is_ended_and_goes_on(place):
    process = place.start(
        "search", "tiny.yaml", *place.long, "--name", "hung", "--set", "faults.report_timeout=3s"
    )
    place.wait_for_epochs("hung", 20, process)
    os.kill(place.trial_process("hung"), signal.SIGSTOP)
    output = place.finish(process)
    assert "has reported nothing for 3s: its process is ended" in output
    assert {row["status"] for row in place.rows("hung")} == {"completed"}
    assert sorted(row["retries"] for row in place.rows("hung", "trials")) == ["0", "0", "1"]
    place.audit("hung")
