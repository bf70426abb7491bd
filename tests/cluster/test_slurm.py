"""deploy/slurm.sbatch on two machines that share a folder; Slurm itself is stood in for."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.workplace import REPOSITORY

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do
    case $1 in --nodelist=*) node=${1#*=} ;; esac
    shift
done
. "$NODES/$node"
"""


@pytest.fixture
def slurm(network, tmp_path, place):
    """The environment of a batch script to which two machines were given."""
    machines = [network.add(), network.add()]
    for machine in machines:
        enter = " ".join(machine.inside(place.root))
        (tmp_path / machine.name).write_text(f'exec {enter} "$@"\n')
    commands = {"srun": SRUN, "scontrol": "#!/bin/sh\nprintf '%s\\n' $SLURM_JOB_NODELIST\n"}
    for name, text in commands.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    (place.root / ".venv").symlink_to(sys.prefix)
    (place.root / "tune_main.py").symlink_to(REPOSITORY / "tune_main.py")
    return place.environment | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NODES": str(tmp_path),
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NODELIST": " ".join(machine.name for machine in machines),
        "SLURM_CPUS_PER_TASK": "1",
    }


def test_the_batch_script_searches_on_all_its_nodes(slurm, place):
    script = REPOSITORY / "deploy" / "slurm.sbatch"
    command = ["bash", str(script), "search", "tiny.yaml", "--name", "batch", *place.data]
    command += [*place.two, "--max-epochs", "600", "--set", "scheduler.name=none"]
    with (place.root / "batch.log").open("w") as log:  # no pipe, which what is left over would hold
        status = subprocess.run(
            command, cwd=place.root, env=slurm, stdout=log, stderr=log, timeout=600, check=False
        ).returncode
    assert status == 0, (place.root / "batch.log").read_text()
    hosts = {event["node"].partition("/")[0] for event in place.events("batch", "epoch")}
    assert hosts == set(slurm["SLURM_JOB_NODELIST"].split())
    assert len(place.rows("batch")) == 6
    assert not list(place.root.glob(".ray-token*")), "its token is gone with it"
