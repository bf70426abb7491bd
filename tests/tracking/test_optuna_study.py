"""The Optuna study in the search's folder, read by Optuna itself."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from optuna.trial import TrialState

from handsigns.tracking.optuna_study import _BufferedJournalBackend


def load(scripted):
    backend = JournalFileBackend(str(scripted.paths.optuna_journal))
    return optuna.load_study(study_name=scripted.paths.name, storage=JournalStorage(backend))


def states(scripted):
    return [trial.state for trial in load(scripted).trials]


FIRST_SESSION = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL,
         TrialState.RUNNING]  # fmt: skip


def test_optuna_reads_every_trial_as_recorded(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    study = load(scripted)
    assert [trial.state for trial in study.trials] == FIRST_SESSION
    assert study.direction.name == "MINIMIZE"
    assert study.metric_names == ["val_loss"]
    assert study.best_trial.number == 0
    assert study.best_value == pytest.approx(1 / 9)
    for trial, record in zip(study.trials, scripted.journal.records, strict=True):
        assert trial.params == {
            "learning_rate": record.params["learning_rate"], "batch_size": 8
        }  # fmt: skip
        assert trial.distributions == {
            "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
            "batch_size": CategoricalDistribution((8, 16)),
        }
        assert trial.intermediate_values == {m.epoch: m.val_loss for m in record.epochs}
        attributes = trial.user_attrs
        assert attributes["trial_id"] == record.trial_id
        assert attributes["status"] == record.status
        assert attributes["seed"] == record.seed
        assert attributes["epochs"] == len(record.epochs)
        assert attributes["seconds"] == record.seconds
        if record.last_epoch:
            assert attributes["val_accuracy"] == record.last_epoch.val_accuracy
            assert attributes["val_loss"] == record.last_epoch.val_loss
        assert trial.datetime_start.timestamp() == pytest.approx(record.started_at, abs=1e-3)
        if record.is_terminal:
            assert trial.datetime_complete.timestamp() == pytest.approx(record.ended_at, abs=1e-3)
    assert study.trials[1].value == scripted.journal["0001"].epochs[-1].val_loss
    assert study.trials[2].value is None
    assert study.trials[3].user_attrs["error"] == "ValueError: no good"


def test_accuracy_is_maximised(make_scripted):
    scripted = make_scripted(objective={"metric": "val_accuracy"})
    scripted.first_session()
    scripted.export_to("optuna")
    assert load(scripted).direction.name == "MAXIMIZE"
    assert load(scripted).trials[0].intermediate_values == {1: 0.5, 2: 0.5, 3: 0.5}


def test_a_resumed_search_appends_to_the_same_file(scripted):
    scripted.first_session()
    scripted.export_to("optuna", killed=True)
    before = scripted.paths.optuna_journal.read_bytes()
    scripted.second_session()
    scripted.export_to("optuna")
    assert scripted.paths.optuna_journal.read_bytes().startswith(before)
    assert states(scripted) == [*FIRST_SESSION[:4], TrialState.COMPLETE, TrialState.RUNNING]
    trial = load(scripted).trials[4]
    assert list(trial.intermediate_values) == [1, 2, 3]
    assert trial.user_attrs["status"] == "completed"
    complete = scripted.paths.optuna_journal.read_bytes()
    scripted.export_to("optuna")
    assert scripted.paths.optuna_journal.read_bytes() == complete, "there was nothing new"


def test_a_truncated_or_damaged_file_is_recreated(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    complete = scripted.paths.optuna_journal.read_bytes()
    for length in (0, 1, 40, len(complete) // 2, len(complete) - 1):
        scripted.paths.optuna_journal.write_bytes(complete[:length])
        scripted.export_to("optuna")
        assert states(scripted) == FIRST_SESSION
    damaged = complete.replace(b'"trial_id":"0001"', b'"trial_id":"0007"')
    for content in (damaged, b"\0" * 100 + b"\n", b"[]\n", complete + b'{"op_code": 99}\n'):
        scripted.paths.optuna_journal.write_bytes(content)
        scripted.export_to("optuna")
        assert states(scripted) == FIRST_SESSION
        assert [t.user_attrs["trial_id"] for t in load(scripted).trials][1] == "0001"


def test_a_restarted_trial_loses_its_earlier_epochs(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    scripted.restart_on_other_data()
    scripted.export_to("optuna")
    assert load(scripted).trials[4].intermediate_values == {1: 7.0}
    assert states(scripted) == FIRST_SESSION


def test_a_copied_search_has_a_study_of_its_new_name(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    copy = scripted.copy("other")
    copy.export_to("optuna")
    assert len(load(copy).trials) == 5


def test_notes_added_in_a_dashboard_are_kept(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    load(scripted).set_user_attr("note", "look at this one")
    scripted.second_session()
    scripted.export_to("optuna")
    study = load(scripted)
    assert study.user_attrs == {"note": "look at this one"}
    assert len(study.trials) == 6


def test_the_file_has_only_lines_of_json(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    assert all(json.loads(line) for line in scripted.paths.optuna_journal.read_bytes().splitlines())
    assert sorted(path.name for path in scripted.paths.root.iterdir()) == [
        "journal.jsonl", "optuna.log"
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.versions
def test_the_lock_of_a_killed_writer_is_ignored(scripted):
    scripted.first_session()
    scripted.export_to("optuna")
    lock = scripted.paths.optuna_journal.with_name("optuna.log.lock")
    lock.symlink_to(scripted.paths.optuna_journal)
    scripted.second_session()
    scripted.export_to("optuna")
    assert len(load(scripted).trials) == 6
    assert not lock.is_symlink()


def test_the_age_of_a_lock_is_readable_with_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("results").mkdir()
    backend = _BufferedJournalBackend(Path("results/optuna.log"), overwrite=True)
    backend.append_logs([{"op_code": 0}])
    backend.flush()
    # As if killed while it writes.
    monkeypatch.setattr(JournalFileSymlinkLock, "release", lambda lock: None)
    backend.append_logs([{"op_code": 0}])
    backend.flush()
    assert Path("results/optuna.log.lock").exists(), "Optuna would wait for it forever"
