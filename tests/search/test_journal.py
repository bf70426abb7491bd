import json

import pytest

from handsigns.errors import ResultsError
from handsigns.search.journal import Journal
from handsigns.search.record import Placement
from handsigns.training.metrics import EpochMetrics

PARAMS = {"learning_rate": 1e-3, "batch_size": 16}
HERE = Placement("laptop/1", "cpu", 1)


def metrics(epoch, loss=0.5):
    return EpochMetrics(epoch, 0.7, 0.6, loss, 0.8, 0.8, 1e-3, 1.5)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.jsonl"


def written(path):
    journal = Journal(path, study_seed=1, writable=True)
    journal.begin("0000", PARAMS)
    journal.report("0000", metrics(1), HERE)
    journal.begin("0001", {"learning_rate": 1e-2})
    journal.report("0000", metrics(2, 1 / 3), HERE)
    journal.end("0000", "completed")
    journal.pause(12.5)
    journal.close()
    return journal


def test_what_was_written_is_read_back_exactly(path):
    before = written(path)
    after = Journal(path, study_seed=1)
    assert after.records == before.records
    assert after.reports == before.reports
    assert after.elapsed == 12.5
    assert after["0000"].status == "completed"
    assert after["0000"].epochs == (metrics(1), metrics(2, 1 / 3))
    assert after["0000"].seconds == 3.0
    assert after["0001"].status == "running"


def test_an_epoch_that_is_known_is_recorded_once(path):
    journal = Journal(path, 1, writable=True)
    journal.begin("0000", PARAMS)
    for epoch in (1, 2, 1, 2, 3):
        journal.report("0000", metrics(epoch), HERE)
    journal.close()
    assert [m.epoch for m in Journal(path, 1)["0000"].epochs] == [1, 2, 3]
    assert path.read_text().count('"epoch"') == 2 * 3  # the event and its metrics' number


def test_a_torn_last_line_is_cut_off_and_written_over(path):
    written(path)
    whole = path.read_bytes()
    for length in range(len(whole) - 60, len(whole)):
        path.write_bytes(whole[:length])
        Journal(path, 1)
        assert path.read_bytes() == whole[:length], "a reader changes nothing"
    journal = Journal(path, 1, writable=True)
    journal.report("0001", metrics(1), HERE)
    journal.close()
    assert Journal(path, 1)["0001"].epochs == (metrics(1),)
    assert all(json.loads(line) for line in path.read_text().splitlines())


def test_damage_in_the_middle_is_named_with_its_line(path):
    written(path)
    lines = path.read_text().splitlines()
    lines[2] = lines[2][:10]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ResultsError, match="line 3 is damaged"):
        Journal(path, 1)


def test_a_trial_taken_up_again_keeps_its_epochs(path):
    journal = written(path)
    journal = Journal(path, 1, writable=True)
    journal.report("0001", metrics(1), HERE)
    journal.end("0001", "interrupted")
    journal.begin("0001", journal["0001"].params)
    assert journal["0001"].status == "running"
    assert journal["0001"].ended_at is None
    assert len(journal["0001"].epochs) == 1
    journal.close()


def test_a_seed_follows_from_the_study_and_the_configuration_alone(path, tmp_path):
    seeds = []
    for number, study_seed in enumerate((1, 1, 2)):
        journal = Journal(tmp_path / str(number), study_seed, writable=True)
        if number == 1:
            journal.begin("0000", {"learning_rate": 0.5})
        seeds.append(journal.begin("0007", PARAMS).seed)
        journal.close()
    assert seeds[0] == seeds[1] != seeds[2]


def test_a_reader_cannot_write(path):
    with pytest.raises(RuntimeError, match="opened for reading"):
        Journal(path, 1).begin("0000", PARAMS)
