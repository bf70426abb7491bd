"""Resume and warm start after changes: data, code, budget, search space."""

import shutil

import pytest
from PIL import Image

from handsigns.io.event_log import encode_event, read_events

pytestmark = [pytest.mark.ray, pytest.mark.faults, pytest.mark.long]


@pytest.fixture(scope="module")
def finished(workspace):
    """Run a search to its end."""
    workspace.run("search", "tiny.yaml", *workspace.data, "--name", "first")
    return workspace


def test_finished_search_can_be_extended(finished):
    shutil.copytree(finished.folder("first"), finished.folder("more"))
    before = finished.rows("more", "trials")
    output = finished.run("resume", "more", status=2)
    more = finished.suggested_command("resume", "more", "--trials", "12")
    assert f"all 6 trials of more are done; to run more: {more}" in output
    finished.run("resume", "more", "--trials", "9", "--time-budget", "10m")
    after = finished.rows("more", "trials")
    assert len(after) == 9
    assert after[:6] == before, "finished trials stay as they are"
    finished.audit("more")


def test_changed_code_is_reported_and_requires_a_flag(finished):
    shutil.copytree(finished.folder("first"), finished.folder("older"))
    journal = finished.folder("older") / "journal.jsonl"
    events, _ = read_events(journal)
    events[0]["environment"]["packages"]["torch"] = "1.0"
    events[0]["environment"]["code"] = "another"
    journal.write_bytes(b"".join(map(encode_event, events)))
    output = finished.run("resume", "older", "--trials", "7", status=2)
    assert "torch was 1.0, now " in output
    assert "handsigns' code was another" in output
    assert "--accept-changed-code" in output
    assert len(finished.rows("older")) == 6
    finished.run("resume", "older", "--trials", "7", "--accept-changed-code")
    assert len(finished.rows("older")) == 7
    output = finished.run("replay", "older", "0000")
    assert "note: since the trial was trained, torch was 1.0, now " in output
    assert "since the trial was trained" not in finished.run("replay", "older", "0006")


def test_changed_data_are_reported_and_require_a_flag(finished):
    process = finished.start("search", "tiny.yaml", *finished.long, "--name", "moved")
    finished.wait_for_epochs("moved", 15, process)
    finished.kill(process, "moved")
    shutil.copytree(finished.root / "bands", finished.root / "changed")
    Image.new("RGB", (16, 16)).save(finished.root / "changed" / "train" / "low" / "0.png")
    output = finished.run("resume", "moved", "--data", "changed", status=2)
    assert "are not those of moved: fingerprint" in output
    assert "--accept-changed-data" in output
    output = finished.run("resume", "moved", "--data", "changed", "--accept-changed-data")
    assert [row["status"] for row in finished.rows("moved")] == ["completed"] * 3
    # Trials started on the earlier images were restarted, so all of them replay.
    for trial_id in ("0000", "0002"):
        assert "identical" in finished.run("replay", "moved", trial_id)


def test_warm_start_works_across_different_bounds(finished):
    space = (
        (finished.root / "tiny.yaml")
        .read_text()
        .replace("low: 1e-3, high: 3e-2", "low: 5e-3, high: 9e-2")
    )
    (finished.root / "other.yaml").write_text(space.replace("values: [8, 16]", "values: [16, 32]"))
    output = finished.run(
        "search", "other.yaml", *finished.data, "--name", "second", "--warm-start", "first",
        "--trials", "5",
    )  # fmt: skip
    assert "warm start: the recommended recipe is tried first, then the best " in output
    assert "the others lie outside this search space" in output
    rows = finished.rows("second", "trials")
    assert all(5e-3 <= float(row["learning_rate"]) <= 9e-2 for row in rows)
    assert {row["batch_size"] for row in rows} <= {"16", "32"}
    best = next(row for row in finished.rows("first") if row["status"] == "completed")
    nearest = max(5e-3, float(best["learning_rate"]))
    assert nearest in [float(row["learning_rate"]) for row in rows[:4]]
    finished.audit("second")
