"""The search's event files, read by TensorBoard's own reader."""

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


def curve(scripted, trial_id, tag="val_loss"):
    scalars = read(scripted.paths.tensorboard / trial_id).Scalars(tag)
    return [(event.step, event.value) for event in scalars]


def hparams(folder) -> dict[str, HParamsPluginData]:
    content = read(folder).PluginTagToContent("hparams")
    return {tag: HParamsPluginData.FromString(data) for tag, data in content.items()}


def expected(scripted, trial_id):
    return [(m.epoch, float(np.float32(m.val_loss))) for m in scripted.journal[trial_id].epochs]


def test_curves_match_the_journal(scripted):
    scripted.first_session()
    scripted.export_to("tensorboard")
    for trial_id in ("0000", "0001", "0002", "0004"):
        assert curve(scripted, trial_id) == expected(scripted, trial_id)
    tags = {"train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert tags <= set(read(scripted.paths.tensorboard / "0000").Tags()["scalars"])


def test_the_hparams_tab_has_parameters_and_status(scripted):
    scripted.first_session()
    scripted.export_to("tensorboard")
    experiment = hparams(scripted.paths.tensorboard)[metadata.EXPERIMENT_TAG].experiment
    assert {i.name for i in experiment.hparam_infos} == {"learning_rate", "dropout", "batch_size"}
    assert "val_accuracy" in {info.name.tag for info in experiment.metric_infos}
    found = hparams(scripted.paths.tensorboard / "0000")
    start = found[metadata.SESSION_START_INFO_TAG].session_start_info
    assert start.hparams["learning_rate"].number_value == 1e-3
    assert start.group_name == "0000"
    ends = [
        hparams(scripted.paths.tensorboard / trial_id).get(metadata.SESSION_END_INFO_TAG)
        for trial_id in ("0000", "0002", "0003", "0004")
    ]
    assert [end and end.session_end_info.status for end in ends] == [1, 2, 2, None]


def test_a_resumed_search_catches_up_without_duplicates(scripted):
    scripted.first_session()
    scripted.export_to("tensorboard", killed=True)
    file = next((scripted.paths.tensorboard / "0000").iterdir())
    before = file.read_bytes()
    scripted.second_session()
    scripted.export_to("tensorboard")
    assert file.read_bytes() == before
    for trial_id in ("0000", "0004", "0005"):
        assert curve(scripted, trial_id) == expected(scripted, trial_id)
        assert len(list((scripted.paths.tensorboard / trial_id).iterdir())) == 1


def test_a_file_truncated_anywhere_is_completed(scripted):
    scripted.first_session()
    scripted.export_to("tensorboard")
    file = next((scripted.paths.tensorboard / "0004").iterdir())
    complete = file.read_bytes()
    for length in range(0, len(complete), 41):
        file.write_bytes(complete[:length])
        scripted.export_to("tensorboard")
        assert curve(scripted, "0004") == expected(scripted, "0004")
        assert file.read_bytes() == complete


def test_a_restarted_trial_loses_its_earlier_epochs(scripted):
    scripted.first_session()
    scripted.export_to("tensorboard")
    scripted.restart_on_other_data()
    scripted.export_to("tensorboard")
    assert curve(scripted, "0004") == [(1, 7.0)]
