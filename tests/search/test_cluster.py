import stat

import pytest

from handsigns.config.study import Resources
from handsigns.errors import ResourceError
from handsigns.search.cluster import new_token, share_out


@pytest.mark.parametrize(
    ("asked", "cpus", "gpus", "cpus_each", "gpus_each", "count"),
    [
        ({}, 2, 0, 1, 0, 2),
        ({}, 16, 1, 4, 0.25, 4),
        ({}, 16, 4, 1, 0.25, 16),
        ({"cpus_per_trial": 4}, 10, 0, 4, 0, 2),
        ({"cpus_per_trial": 0.5}, 3, 0, 0.5, 0, 6),
        ({"gpus_per_trial": 0.4}, 8, 2, 2, 0.4, 4),
        ({"gpus_per_trial": 2}, 8, 4, 4, 2, 2),
        ({"gpus_per_trial": 0}, 8, 4, 1, 0, 8),
        ({"concurrent_trials": 3}, 8, 0, 1, 0, 3),
        ({"concurrent_trials": 30}, 8, 0, 1, 0, 8),
    ],
)
def test_trials_fit_into_what_there_is(asked, cpus, gpus, cpus_each, gpus_each, count):
    slots = share_out(Resources(**asked), cpus, gpus)
    assert (slots.cpus, slots.gpus, slots.count) == (cpus_each, gpus_each, count)
    assert slots.cpus * slots.count <= cpus
    assert slots.threads >= 1


def test_more_than_there_is():
    with pytest.raises(ResourceError, match="cpus_per_trial is 8, but there are 2 CPUs; use"):
        share_out(Resources(cpus_per_trial=8), 2, 0)
    with pytest.raises(ResourceError, match="gpus_per_trial is 1, but there are 0 GPUs; use"):
        share_out(Resources(gpus_per_trial=1), 2, 0)


def test_the_token_is_its_owners_alone(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    paths = [new_token(folder) for folder in folders]
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in paths)
    assert len({path.read_text() for path in paths}) == 2
    assert all(len(path.read_text()) == 64 for path in paths)
