"""The offline files that W&B wrote."""

import json
import struct
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("wandb")

from handsigns.tracking import wandb_runs


def read_records(folder):
    """Read a run's `.wandb` file: LevelDB's log format after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    data, offset, part, records = path.read_bytes(), 7, b"", []
    while offset + 7 <= len(data):
        if 32768 - offset % 32768 < 7:
            offset += 32768 - offset % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        part += data[offset + 7 : offset + 7 + length]
        offset += 7 + length
        if kind in (1, 4):  # a complete record, or its last fragment
            records.append(Record.FromString(part))
            part = b""
    return records


def wait_for_records(folder):
    """Return the records once complete: W&B's own process writes them some time after `finish`."""
    for _ in range(300):
        records = read_records(folder)
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{folder.name} was not finished: {records}")


def read(folder):
    """Return the start record, curve, summary and exit codes of a run."""
    records = wait_for_records(folder)
    (start,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    curve, summary = [], {}
    for record in records:
        if record.WhichOneof("record_type") == "history":
            row = {i.key or i.nested_key[0]: json.loads(i.value_json) for i in record.history.item}
            curve.append((record.history.step.num or row["_step"], row["val_loss"]))
        if record.WhichOneof("record_type") == "summary":
            summary |= {
                i.key or i.nested_key[0]: json.loads(i.value_json) for i in record.summary.update
            }
    exits = [r.exit.exit_code for r in records if r.WhichOneof("record_type") == "exit"]
    return start, curve, summary, exits


def runs(scripted):
    folders = {f.name.rsplit("-", 1)[1]: f for f in scripted.paths.wandb.glob("offline-run-*")}
    assert len(folders) == len(list(scripted.paths.wandb.glob("offline-run-*"))), (
        "one run per trial"
    )
    return folders


def test_runs_match_the_journal_also_after_a_resume(scripted, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    scripted.first_session()
    scripted.export_to("wandb")
    folders = runs(scripted)
    assert sorted(folders) == ["0000", "0001", "0002", "0003", "0004"]
    start, curve, summary, exits = read(folders["0000"])
    assert (start.project, start.run_group, start.job_type) == ("handsigns", "scripted", "trial")
    config = {item.key: json.loads(item.value_json) for item in start.config.update}
    assert config["learning_rate"] == 1e-3
    assert curve == [(m.epoch, m.val_loss) for m in scripted.journal["0000"].epochs]
    assert summary["status"] == "completed"
    assert exits == [0]
    assert read(folders["0003"])[3] == [1]
    scripted.second_session()
    scripted.journal.end_trial("0005", "interrupted")
    scripted.export_to("wandb")
    after = runs(scripted)
    assert sorted(after) == [*sorted(folders), "0005"]
    assert after["0000"] == folders["0000"], "complete runs are not rewritten"
    for trial_id in ("0004", "0005"):
        epochs = scripted.journal[trial_id].epochs
        assert read(after[trial_id])[1] == [(m.epoch, m.val_loss) for m in epochs]


def test_a_later_winner_has_its_own_summary(scripted, monkeypatch):
    scripted.first_session()
    summary = {"test_accuracy": 0.9, "trial_id": "0000", "_runtime": 3}
    resumed = SimpleNamespace(summary=summary, finish=lambda: None)
    monkeypatch.setattr(wandb_runs.wandb, "init", lambda **_: resumed)
    wandb_runs.WandbRuns(scripted.search).log_winner({}, {"trial_id": "0001"})
    assert summary == {"trial_id": "0001", "_runtime": 3}
