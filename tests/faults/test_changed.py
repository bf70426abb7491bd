"""Going on when something has changed: the data, the code, how much is wanted, the bounds."""

import shutil

import pytest
from PIL import Image

from handsigns.io.event_log import read_events, sealed

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.long]


@pytest.fixture(scope="module")
def done(place):
    """A search that came to its end."""
    place.run("search", "tiny.yaml", *place.data, "--name", "first")
    return place


def test_a_finished_search_can_be_extended(done):
    shutil.copytree(done.folder("first"), done.folder("more"))
    before = done.rows("more", "trials")
    output = done.run("resume", "more", status=2)
    more = done.suggested("resume", "more", "--trials", "12")
    assert f"all 6 trials of more are done; to try more: {more}" in output
    done.run("resume", "more", "--trials", "9", "--time-budget", "10m")
    after = done.rows("more", "trials")
    assert len(after) == 9
    assert after[:6] == before, "finished trials stay as they are"
    done.audit("more")


def test_changed_code_is_told_and_asks_for_a_flag(done):
    shutil.copytree(done.folder("first"), done.folder("older"))
    journal = done.folder("older") / "journal.jsonl"
    events, _ = read_events(journal)
    events[0]["environment"]["packages"]["torch"] = "1.0"
    events[0]["environment"]["code"] = "another"
    journal.write_bytes(b"".join(map(sealed, events)))
    output = done.run("resume", "older", "--trials", "7", status=2)
    assert "torch was 1.0 and is " in output
    assert "handsigns' code was another" in output
    assert "--accept-changed-code" in output
    assert len(done.rows("older")) == 6
    done.run("resume", "older", "--trials", "7", "--accept-changed-code")
    assert len(done.rows("older")) == 7
    output = done.run("replay", "older", "0000")
    assert "note: since the trial was trained, torch was 1.0 and is " in output
    assert "since the trial was trained" not in done.run("replay", "older", "0006")


def test_changed_data_are_told_and_ask_for_a_flag(done):
    process = done.start("search", "tiny.yaml", *done.long, "--name", "moved")
    done.wait_for_epochs("moved", 15, process)
    done.kill(process, "moved")
    shutil.copytree(done.root / "bands", done.root / "changed")
    Image.new("RGB", (16, 16)).save(done.root / "changed" / "train" / "low" / "0.png")
    output = done.run("resume", "moved", "--data", "changed", status=2)
    assert "are not those of moved: fingerprint" in output
    assert "--accept-changed-data" in output
    output = done.run("resume", "moved", "--data", "changed", "--accept-changed-data")
    assert [row["status"] for row in done.rows("moved")] == ["completed"] * 3
    # Trials that had begun on the earlier pictures were trained anew, and so all replay.
    for trial_id in ("0000", "0002"):
        assert "identical" in done.run("replay", "moved", trial_id)


def test_a_warm_start_seeds_a_search_with_other_bounds(done):
    space = (
        (done.root / "tiny.yaml")
        .read_text()
        .replace("low: 1e-3, high: 3e-2", "low: 5e-3, high: 9e-2")
    )
    (done.root / "other.yaml").write_text(space.replace("values: [8, 16]", "values: [16, 32]"))
    output = done.run(
        "search", "other.yaml", *done.data, "--name", "second", "--warm-start", "first",
        "--trials", "5",
    )  # fmt: skip
    assert "warm start: the recommended recipe is tried first, then the best " in output
    assert "the others lie outside this search space" in output
    rows = done.rows("second", "trials")
    assert all(5e-3 <= float(row["learning_rate"]) <= 9e-2 for row in rows)
    assert {row["batch_size"] for row in rows} <= {"16", "32"}
    best = next(row for row in done.rows("first") if row["status"] == "completed")
    near = max(5e-3, float(best["learning_rate"]))
    assert near in [float(row["learning_rate"]) for row in rows[:4]]
    done.audit("second")
