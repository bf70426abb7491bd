"""deploy/slurm.sbatch on two machines with a shared folder and a stubbed Slurm."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.workspace import REPOSITORY

pytestmark = [pytest.mark.ray, pytest.mark.cluster]

SRUN = """#!/bin/sh
while [ "${1#--}" != "$1" ]; do
    case $1 in --nodelist=*) node=${1#*=} ;; esac
    shift
done
. "$NODES/$node"
"""


@pytest.fixture
def slurm(network, tmp_path, workspace):
    """Return the environment of a batch job on two machines."""
    machines = [network.add(), network.add()]
    for machine in machines:
        enter = " ".join(machine.exec_prefix(workspace.root))
        (tmp_path / machine.name).write_text(f'exec {enter} "$@"\n')
    commands = {"srun": SRUN, "scontrol": "#!/bin/sh\nprintf '%s\\n' $SLURM_JOB_NODELIST\n"}
    for name, text in commands.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o700)
    (workspace.root / ".venv").symlink_to(sys.prefix)
    (workspace.root / "tune_main.py").symlink_to(REPOSITORY / "tune_main.py")
    return workspace.environment | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "NODES": str(tmp_path),
        "SLURM_JOB_ID": "12345",
        "SLURM_JOB_NODELIST": " ".join(machine.name for machine in machines),
        "SLURM_CPUS_PER_TASK": "1",
    }


def test_batch_script_searches_on_all_nodes(slurm, workspace):
    script = REPOSITORY / "deploy" / "slurm.sbatch"
    command = ["bash", str(script), "search", "tiny.yaml", "--name", "batch", *workspace.data]
    command += [*workspace.concurrent, "--max-epochs", "600", "--set", "scheduler.name=none"]
    # A file, as leftover processes would keep a pipe open.
    with (workspace.root / "batch.log").open("w") as log:
        status = subprocess.run(
            command, cwd=workspace.root, env=slurm, stdout=log, stderr=log, timeout=600, check=False
        ).returncode
    assert status == 0, (workspace.root / "batch.log").read_text()
    hosts = {event["node"].partition("/")[0] for event in workspace.events("batch", "epoch")}
    assert hosts == set(slurm["SLURM_JOB_NODELIST"].split())
    assert len(workspace.rows("batch")) == 6
    assert not list(workspace.root.glob(".ray-token*")), "the token is removed"
