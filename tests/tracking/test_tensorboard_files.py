"""What TensorBoard's own reader finds."""

import numpy as np
import pytest

pytest.importorskip("tensorboard")

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData


def read(folder) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def curve(played, trial_id, tag="val_loss"):
    scalars = read(played.paths.tensorboard / trial_id).Scalars(tag)
    return [(event.step, event.value) for event in scalars]


def hparams(folder) -> dict[str, HParamsPluginData]:
    content = read(folder).PluginTagToContent("hparams")
    return {tag: HParamsPluginData.FromString(data) for tag, data in content.items()}


def expected(played, trial_id):
    return [(m.epoch, float(np.float32(m.val_loss))) for m in played.journal[trial_id].epochs]


def test_curves_are_those_of_the_journal(played):
    played.first_session()
    played.hand_to("tensorboard")
    for trial_id in ("0000", "0001", "0002", "0004"):
        assert curve(played, trial_id) == expected(played, trial_id)
    tags = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert tags <= set(read(played.paths.tensorboard / "0000").Tags()["scalars"])


def test_the_hparams_tab_has_parameters_and_outcome(played):
    played.first_session()
    played.hand_to("tensorboard")
    experiment = hparams(played.paths.tensorboard)[metadata.EXPERIMENT_TAG].experiment
    assert {i.name for i in experiment.hparam_infos} == {"learning_rate", "dropout", "batch_size"}
    assert "val_accuracy" in {info.name.tag for info in experiment.metric_infos}
    found = hparams(played.paths.tensorboard / "0000")
    start = found[metadata.SESSION_START_INFO_TAG].session_start_info
    assert start.hparams["learning_rate"].number_value == 1e-3
    assert start.group_name == "0000"
    ends = [
        hparams(played.paths.tensorboard / trial_id).get(metadata.SESSION_END_INFO_TAG)
        for trial_id in ("0000", "0002", "0003", "0004")
    ]
    assert [end and end.session_end_info.status for end in ends] == [1, 2, 2, None]


def test_a_resumed_search_writes_nothing_twice_and_catches_up(played):
    played.first_session()
    played.hand_to("tensorboard", killed=True)
    file = next((played.paths.tensorboard / "0000").iterdir())
    before = file.read_bytes()
    played.second_session()
    played.hand_to("tensorboard")
    assert file.read_bytes() == before
    for trial_id in ("0000", "0004", "0005"):
        assert curve(played, trial_id) == expected(played, trial_id)
        assert len(list((played.paths.tensorboard / trial_id).iterdir())) == 1


def test_a_torn_file_is_continued_wherever_it_was_torn(played):
    played.first_session()
    played.hand_to("tensorboard")
    file = next((played.paths.tensorboard / "0004").iterdir())
    whole = file.read_bytes()
    for length in range(0, len(whole), 41):
        file.write_bytes(whole[:length])
        played.hand_to("tensorboard")
        assert curve(played, "0004") == expected(played, "0004")
        assert file.read_bytes() == whole


def test_a_trial_that_starts_over_has_no_past(played):
    played.first_session()
    played.hand_to("tensorboard")
    played.start_over()
    played.hand_to("tensorboard")
    assert curve(played, "0004") == [(1, 7.0)]
