import contextlib
import dataclasses

import pytest
import torch

from handsigns.results.trial import Placement
from handsigns.training.device import describe_device, pick_device
from handsigns.workflow.replay import print_device_change, replay_record
from tests.support.winners import SIZE, data_of


def test_replay_on_another_device_names_both(make_record, capsys):
    record = make_record("0000")
    here = describe_device(pick_device())
    gpu, cpu = (
        dataclasses.replace(record, placement=Placement("far/1", device, 1))
        for device in ("cuda NVIDIA Imaginary", "cpu")
    )
    print_device_change([gpu, cpu, gpu])
    assert capsys.readouterr().out == (
        f"note: trained on cuda NVIDIA Imaginary, replayed on {here}, so the metrics may differ\n"
    )


@pytest.mark.parametrize("interrupted", [False, True])
def test_threads_and_random_state_of_the_user_are_restored(
    make_record, make_split, make_search_config, interrupted
):
    params = {"channel_width": 4, "batch_size": 8, "dropout": 0.5}
    record = make_record("0000", [0.5, 0.4], params=params)
    data = data_of(make_split(9, size=SIZE), make_split(6, size=SIZE))

    def on_epoch(epoch):
        assert torch.get_num_threads() == record.placement.threads == 1
        if interrupted:
            raise KeyboardInterrupt

    threads = torch.get_num_threads()
    torch.manual_seed(7)
    expected = torch.rand(4)
    try:
        torch.set_num_threads(3)
        torch.manual_seed(7)
        with pytest.raises(KeyboardInterrupt) if interrupted else contextlib.nullcontext():
            replay_record(make_search_config(), data, record, None, on_epoch=on_epoch)
        assert torch.get_num_threads() == 3
        assert torch.equal(torch.rand(4), expected)
    finally:
        torch.set_num_threads(threads)


def test_a_trial_that_failed_without_epochs_is_not_trained(
    make_record, make_split, make_search_config
):
    record = make_record("0000", [], "failed", params={"architecture": "missing:network"})
    data = data_of(make_split(9, size=SIZE), make_split(6, size=SIZE))
    assert replay_record(make_search_config(), data, record, None, on_epoch=print).identical
