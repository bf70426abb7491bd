"""What is in the files that W&B itself wrote, offline."""

import json
import struct
import time

import pytest

pytest.importorskip("wandb")


def stored(folder):
    """The records of a run's `.wandb` file: LevelDB's log format after a header of 7 bytes."""
    from wandb.proto.wandb_internal_pb2 import Record

    (path,) = folder.glob("*.wandb")
    data, at, part, records = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        part += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or its last part
            records.append(Record.FromString(part))
            part = b""
    return records


def finished(folder):
    """The records once the last is there: W&B's own process writes, some time after `finish`."""
    for _ in range(300):
        records = stored(folder)
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{folder.name} was not finished: {records}")


def read(folder):
    """A run: how it was begun, its curve, its summary, its exit code."""
    records = finished(folder)
    (begun,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
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
    return begun, curve, summary, exits


def runs(played):
    folders = {f.name.rsplit("-", 1)[1]: f for f in played.paths.wandb.glob("offline-run-*")}
    assert len(folders) == len(list(played.paths.wandb.glob("offline-run-*"))), "a run a trial"
    return folders


def test_runs_are_those_of_the_journal_also_after_a_resume(played, monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    played.first_session()
    played.hand_to("wandb")
    folders = runs(played)
    assert sorted(folders) == ["0000", "0001", "0002", "0003", "0004"]
    begun, curve, summary, exits = read(folders["0000"])
    assert (begun.project, begun.run_group, begun.job_type) == ("handsigns", "played", "trial")
    config = {item.key: json.loads(item.value_json) for item in begun.config.update}
    assert config["learning_rate"] == 1e-3
    assert curve == [(m.epoch, m.val_loss) for m in played.journal["0000"].epochs]
    assert summary["status"] == "completed"
    assert exits == [0]
    assert read(folders["0003"])[3] == [1]
    played.second_session()
    played.journal.end("0005", "interrupted")
    played.hand_to("wandb")
    after = runs(played)
    assert sorted(after) == [*sorted(folders), "0005"]
    assert after["0000"] == folders["0000"], "what was whole is left alone"
    for trial_id in ("0004", "0005"):
        epochs = played.journal[trial_id].epochs
        assert read(after[trial_id])[1] == [(m.epoch, m.val_loss) for m in epochs]
