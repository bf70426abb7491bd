"""The Optuna study in a search's folder, read by Optuna itself."""

import json

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState


def load(played):
    backend = JournalFileBackend(str(played.paths.optuna))
    return optuna.load_study(study_name=played.paths.name, storage=JournalStorage(backend))


def states(played):
    return [trial.state for trial in load(played).trials]


FIRST = [TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED, TrialState.FAIL,
         TrialState.RUNNING]  # fmt: skip


def test_optuna_reads_every_trial_as_it_was(played):
    played.first_session()
    played.hand_to("optuna")
    study = load(played)
    assert [trial.state for trial in study.trials] == FIRST
    assert study.direction.name == "MINIMIZE"
    assert study.metric_names == ["val_loss"]
    assert study.best_trial.number == 0
    assert study.best_value == pytest.approx(1 / 9)
    for trial, record in zip(study.trials, played.journal.records, strict=True):
        assert trial.params == {
            "learning_rate": record.params["learning_rate"], "batch_size": 8
        }  # fmt: skip
        assert trial.distributions == {
            "learning_rate": FloatDistribution(1e-4, 1e-1, log=True),
            "batch_size": CategoricalDistribution((8, 16)),
        }
        assert trial.intermediate_values == {m.epoch: m.val_loss for m in record.epochs}
        told = trial.user_attrs
        assert told["trial_id"] == record.trial_id
        assert told["status"] == record.status
        assert told["seed"] == record.seed
        assert told["epochs"] == len(record.epochs)
        assert told["seconds"] == record.seconds
        if record.last:
            assert told["val_accuracy"] == record.last.val_accuracy
            assert told["val_loss"] == record.last.val_loss
        assert trial.datetime_start.timestamp() == pytest.approx(record.started_at, abs=1e-3)
        if record.ended:
            assert trial.datetime_complete.timestamp() == pytest.approx(record.ended_at, abs=1e-3)
    assert study.trials[1].value == played.journal["0001"].epochs[-1].val_loss
    assert study.trials[2].value is None
    assert study.trials[3].user_attrs["error"] == "Traceback"


def test_accuracy_is_maximised(make_played):
    played = make_played(objective={"metric": "val_accuracy"})
    played.first_session()
    played.hand_to("optuna")
    assert load(played).direction.name == "MAXIMIZE"
    assert load(played).trials[0].intermediate_values == {1: 0.5, 2: 0.5, 3: 0.5}


def test_a_resumed_search_goes_on_in_the_same_file(played):
    played.first_session()
    played.hand_to("optuna", killed=True)
    before = played.paths.optuna.read_bytes()
    played.second_session()
    played.hand_to("optuna")
    assert played.paths.optuna.read_bytes().startswith(before)
    assert states(played) == [*FIRST[:4], TrialState.COMPLETE, TrialState.RUNNING]
    trial = load(played).trials[4]
    assert list(trial.intermediate_values) == [1, 2, 3]
    assert trial.user_attrs["status"] == "completed"
    whole = played.paths.optuna.read_bytes()
    played.hand_to("optuna")
    assert played.paths.optuna.read_bytes() == whole, "there was nothing new"


def test_wherever_the_file_was_torn_it_is_made_whole(played):
    played.first_session()
    played.hand_to("optuna")
    whole = played.paths.optuna.read_bytes()
    for length in (0, 1, 40, len(whole) // 2, len(whole) - 1):
        played.paths.optuna.write_bytes(whole[:length])
        played.hand_to("optuna")
        assert states(played) == FIRST
    damaged = whole.replace(b'"trial_id":"0001"', b'"trial_id":"0007"')
    for content in (damaged, b"\0" * 100 + b"\n", b"[]\n", whole + b'{"op_code": 99}\n'):
        played.paths.optuna.write_bytes(content)
        played.hand_to("optuna")
        assert states(played) == FIRST
        assert [t.user_attrs["trial_id"] for t in load(played).trials][1] == "0001"


def test_a_trial_that_starts_over_has_no_past(played):
    played.first_session()
    played.hand_to("optuna")
    played.start_over()
    played.hand_to("optuna")
    assert load(played).trials[4].intermediate_values == {1: 7.0}
    assert states(played) == FIRST


def test_a_renamed_copy_is_a_study_of_its_new_name(played):
    played.first_session()
    played.hand_to("optuna")
    other = played.renamed("other")
    other.hand_to("optuna")
    assert len(load(other).trials) == 5


def test_what_users_note_in_a_dashboard_stays(played):
    played.first_session()
    played.hand_to("optuna")
    load(played).set_user_attr("note", "look at this one")
    played.second_session()
    played.hand_to("optuna")
    study = load(played)
    assert study.user_attrs == {"note": "look at this one"}
    assert len(study.trials) == 6


def test_the_file_holds_lines_of_json_alone(played):
    played.first_session()
    played.hand_to("optuna")
    assert all(json.loads(line) for line in played.paths.optuna.read_bytes().splitlines())
    assert sorted(path.name for path in played.paths.root.iterdir()) == [
        "journal.jsonl", "optuna.log"
    ]  # fmt: skip


@pytest.mark.versions
def test_a_killed_writers_lock_is_no_obstacle(played):
    played.first_session()
    played.hand_to("optuna")
    lock = played.paths.optuna.with_name("optuna.log.lock")
    lock.symlink_to(played.paths.optuna)
    played.second_session()
    played.hand_to("optuna")
    assert len(load(played).trials) == 6
    assert not lock.is_symlink()
