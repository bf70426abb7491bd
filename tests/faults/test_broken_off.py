"""The user, or the system, asks the search to end."""

import os
import signal

import pytest

pytestmark = [pytest.mark.ray, pytest.mark.faults]


def ctrl_c(process) -> None:
    """As a terminal does: to every process that belongs to the command."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.long
def test_broken_off_in_every_way_it_goes_on(place):
    process = place.start("search", "tiny.yaml", *place.long, "--name", "broken-off")
    place.wait_for_epochs("broken-off", 5, process)
    ctrl_c(process)
    output = place.finish(process, 130)
    assert f"resume it: {place.suggested('resume', 'broken-off')}" in output
    rows = place.rows("broken-off")
    assert "interrupted" in {row["status"] for row in rows}
    assert sum(int(row["epochs"]) for row in rows) == len(place.events("broken-off", "epoch"))

    # Twice: at once.
    process = place.start("resume", "broken-off")
    sessions = len(place.events("broken-off", "session"))
    place.wait_for(lambda: len(place.events("broken-off", "session")) > sessions, process)
    place.wait_for_epochs("broken-off", 40, process)
    ctrl_c(process)
    ctrl_c(process)
    output = place.finish(process, 130)
    assert f"go on with: {place.suggested('resume', 'broken-off')}" in output

    process = place.start("resume", "broken-off", "--trials", "4")
    place.wait_for_epochs("broken-off", 80, process)
    process.terminate()
    assert "resume it: " in place.finish(process, 130)

    place.run("resume", "broken-off")
    rows = place.rows("broken-off")
    assert [row["status"] for row in rows] == ["completed"] * 4
    place.audit("broken-off")


def test_no_time_for_a_single_epoch(place):
    printed = place.run(
        "run", "tiny.yaml", *place.data, "--name", "hasty", "--time-budget", "1s", status=1
    )
    assert "there is no winner: no trial ended its first epoch in 1s" in printed
    more = place.suggested("resume", "hasty", "--time-budget", "10s")
    assert f"Give it more time: {more}" in printed
    printed = place.run("resume", "hasty", "--time-budget", "10m", "--trials", "1")
    assert [row["status"] for row in place.rows("hasty")] == ["completed"]
    assert "there is no winner" not in printed
