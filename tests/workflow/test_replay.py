import dataclasses

from handsigns.results.trial import Placement
from handsigns.training.device import describe_device, pick_device
from handsigns.workflow.replay import print_device_change


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
