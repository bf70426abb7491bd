"""MPS on a machine without a GPU: its programs are scripts, and everything else is real."""

import _ctypes
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from handsigns.cluster import preflight
from handsigns.cluster.mps import mps_active, mps_daemon
from handsigns.cluster.nodes import Node, local_node, visible_devices
from handsigns.cluster.resources import allocate
from handsigns.config.execution import Resources
from handsigns.errors import ResourceError
from handsigns.io.storage import open_storage
from handsigns.results.checkpoints import CheckpointStore
from tests.support.workspace import REPOSITORY, wait_until

NVIDIA_SMI = """#!/bin/sh
case "$1" in
    -L) echo "GPU 0: Imaginary (UUID: GPU-0)" ;;
    --query-compute-apps=pid) [ ! -f FOLDER/processes ] || cat FOLDER/processes ;;
esac
"""
MPS_CONTROL = """#!/bin/sh
pipe=${CUDA_MPS_PIPE_DIRECTORY:-FOLDER/default}
if [ "$1" = -d ]; then
    [ ! -f FOLDER/broken ] || { echo "An instance of this daemon is broken" >&2; exit 1; }
    env >FOLDER/daemon_environment
    setsid sleep 86400 &  # it keeps the standard output open
    echo $! >"$pipe/process"
    echo $! >>FOLDER/daemons
    exit 0
fi
if ! kill -0 "$(cat "$pipe/process" 2>/dev/null)" 2>/dev/null; then
    echo "Cannot find MPS control daemon process" >&2
    exit 1
fi
read -r command _
case $command in
    get_default_active_thread_percentage) echo 100.0 ;;
    start_server) [ -f FOLDER/no_server ] || echo 4242 >"$pipe/server" ;;
    get_server_list) [ ! -f "$pipe/server" ] || cat "$pipe/server" ;;
    quit) kill "$(cat "$pipe/process")" && rm "$pipe/process" ;;
esac
"""
DRIVER = """
import os, time
from handsigns.cluster.mps import mps_daemon
from handsigns.config.execution import Resources
with mps_daemon(Resources(), print):
    print(os.environ["CUDA_MPS_PIPE_DIRECTORY"], flush=True)
    time.sleep(86400)
"""


class Machine:
    """Machine with an imaginary GPU and the programs of its driver."""

    def __init__(self, folder):
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        (folder / "default").mkdir()
        self.install("nvidia-smi", NVIDIA_SMI)
        self.install("nvidia-cuda-mps-control", MPS_CONTROL)
        self.path = f"{self.programs}:{os.environ['PATH']}"

    def install(self, name, text):
        (self.programs / name).write_text(text.replace("FOLDER", str(self.folder)))
        (self.programs / name).chmod(0o700)

    def set(self, name, text=""):
        (self.folder / name).write_text(text)

    def daemons(self):
        """Return the process ids of the daemons started so far."""
        path = self.folder / "daemons"
        return [int(line) for line in path.read_text().split()] if path.exists() else []


@pytest.fixture
def machine(tmp_path, monkeypatch):
    machine = Machine(tmp_path / "machine")
    monkeypatch.setenv("PATH", machine.path)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    yield machine
    for process in filter(runs, machine.daemons()):
        os.kill(process, signal.SIGKILL)


def runs(process):
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_daemon_has_private_folders_and_ends_with_the_search(machine, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    before, notes = dict(os.environ), []
    with mps_daemon(Resources(), notes.append):
        assert mps_active()
        show = "import os; print(os.environ['CUDA_MPS_PIPE_DIRECTORY'])"
        shown = subprocess.run(
            [sys.executable, "-c", show], capture_output=True, text=True, check=True
        )
        pipes = Path(shown.stdout.strip())
        folder = pipes.parent
        assert Path(os.environ["CUDA_MPS_LOG_DIRECTORY"]).parent == folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(os.fsencode(pipes / "control_privileged")) <= 107, "a socket's address"
        (daemon,) = machine.daemons()
        assert runs(daemon)
        started_in = (machine.folder / "daemon_environment").read_text().splitlines()
        assert f"CUDA_MPS_PIPE_DIRECTORY={pipes}" in started_in
        assert "CUDA_VISIBLE_DEVICES" not in {line.partition("=")[0] for line in started_in}
        assert os.environ["CUDA_VISIBLE_DEVICES"] == "0"
    wait_until(lambda: not runs(daemon))
    assert not folder.exists()
    assert (dict(os.environ), notes) == (before, [])


def test_daemon_ends_with_a_search_that_fails(machine):
    folders = []

    def fail():
        with mps_daemon(Resources(), pytest.fail):
            folders.append(Path(os.environ["CUDA_MPS_PIPE_DIRECTORY"]).parent)
            raise RuntimeError("no results")

    with pytest.raises(RuntimeError, match="no results"):
        fail()
    (daemon,), (folder,) = machine.daemons(), folders
    wait_until(lambda: not runs(daemon))
    assert not folder.exists()


def test_daemon_ends_with_a_search_that_is_killed(machine):
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as driver:
        assert driver.stdout is not None
        folder = Path(driver.stdout.readline().strip()).parent
        (daemon,) = machine.daemons()
        assert folder.is_dir()
        assert runs(daemon)
        os.killpg(driver.pid, signal.SIGKILL)
    wait_until(lambda: not runs(daemon) and not folder.exists())


def test_running_daemon_is_used_and_not_stopped(machine):
    subprocess.run(["nvidia-cuda-mps-control", "-d"], check=True, stdout=subprocess.DEVNULL)
    machine.set("processes", "1\n")  # its server
    before = dict(os.environ)
    for mps in ("auto", "on"):
        with mps_daemon(Resources(mps=mps), pytest.fail):
            assert dict(os.environ) == before
    assert mps_active()
    assert len(machine.daemons()) == 1


def test_auto_starts_no_daemon_while_others_use_a_gpu(machine):
    machine.set("processes", f"{os.getpid()}\n")  # earlier training in this process
    with mps_daemon(Resources(), pytest.fail):
        assert mps_active()
    machine.set("processes", "1\n1\n")
    notes = []
    with mps_daemon(Resources(), notes.append):
        assert not mps_active()
    (note,) = notes
    assert "take turns on it, without MPS: another process uses a GPU (process 1)" in note
    with mps_daemon(Resources(mps="on"), pytest.fail):
        assert mps_active()


@pytest.mark.parametrize(
    "requested",
    [
        {"mps": "off"},
        {"gpus_per_trial": 0, "mps": "on"},
        {"gpus_per_trial": 1, "mps": "on"},
        {"max_concurrent_trials": 1, "mps": "on"},
    ],
)
def test_no_daemon_is_started_where_no_gpu_is_shared(machine, requested):
    with mps_daemon(Resources(**requested), pytest.fail):
        assert not mps_active()
    assert not machine.daemons()


@pytest.mark.parametrize("visible", ["", "-1", "-1,0", "NoDevFiles"])
def test_machine_without_a_visible_gpu_needs_no_daemon(machine, monkeypatch, visible):
    assert local_node().gpus == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert local_node().gpus == 0
    with mps_daemon(Resources(), pytest.fail):
        assert not machine.daemons()
    with (
        pytest.raises(ResourceError, match=r"mps is on, but this machine has no NVIDIA GPU; with"),
        mps_daemon(Resources(mps="on"), pytest.fail),
    ):
        pass


@pytest.mark.parametrize("names", ["0,1", "GPU-8932f937", "MIG-GPU-8932f937/1/2"])
def test_gpus_before_an_invalid_one_are_visible(monkeypatch, names):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"{names},-1,2")
    assert visible_devices() == names


def test_a_product_name_does_not_count_as_a_gpu(machine):
    listing = "GPU 0: NVIDIA GeForce RTX 3080 Laptop GPU (UUID: GPU-0)"
    machine.install("nvidia-smi", f'#!/bin/sh\necho "{listing}"\n')
    assert local_node().gpus == 1


def test_a_driver_that_hangs_counts_as_no_gpu(machine, monkeypatch):
    monkeypatch.setattr("handsigns.cluster.nodes._NVIDIA_SMI_TIMEOUT_S", 0.1)
    machine.install("nvidia-smi", "#!/bin/sh\nexec sleep 60\n")
    assert local_node().gpus == 0


def uninstall(machine, monkeypatch):
    (machine.programs / "nvidia-cuda-mps-control").unlink()
    monkeypatch.setenv("PATH", str(machine.programs))


def break_cuda(machine, monkeypatch):
    """Install a library without any of CUDA's functions in place of the driver's."""
    libraries = machine.folder / "lib"
    libraries.mkdir()
    (libraries / "libcuda.so.1").symlink_to(_ctypes.__file__)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(libraries))


FAILURES = {
    "nvidia-cuda-mps-control is not installed": uninstall,
    "cannot be started: An instance of this daemon is broken": lambda m, _: m.set("broken"),
    "the MPS server does not start": lambda m, _: m.set("no_server"),
    "programs cannot use the GPU with MPS: AttributeError": break_cuda,
}


@pytest.mark.parametrize("problem", FAILURES)
def test_without_mps_trials_take_turns_after_one_notice(machine, monkeypatch, problem):
    FAILURES[problem](machine, monkeypatch)
    before, notes, bodies = dict(os.environ), [], []
    with mps_daemon(Resources(), notes.append):
        bodies.append(dict(os.environ))
    assert bodies == [before]
    (note,) = notes
    assert note.startswith("trials that share a GPU take turns on it, without MPS: ")
    assert problem in note
    with (
        pytest.raises(ResourceError, match=f"mps is on, but .*{problem}.*; with --set"),
        mps_daemon(Resources(mps="on"), pytest.fail),
    ):
        bodies.append({})
    assert bodies == [before], "the search does not start"
    wait_until(lambda: not any(map(runs, machine.daemons())))


def test_preflight_reports_nodes_without_mps(machine, monkeypatch, tmp_path):
    monkeypatch.setattr(
        preflight,
        "run_on_nodes",
        lambda fn, *args, allocation: ({"gpu-1 (10.0.0.7)": fn(*args)}, {}),
    )
    (tmp_path / "runs").mkdir()
    checkpoints = CheckpointStore(open_storage(str(tmp_path / "runs")))

    def check(**requested):
        resources = Resources(**requested)
        return preflight.check_nodes(checkpoints, allocate(resources, [Node(8, 1)]), resources)

    (note,) = check()
    assert "no MPS daemon answers on gpu-1 (10.0.0.7)" in note
    page, section = REPOSITORY / "docs" / "tutorials" / "cluster.md", "GPU nodes: MPS"
    assert f'"{section}" in docs/tutorials/cluster.md' in note
    assert f"## {section}\n" in page.read_text()
    with pytest.raises(ResourceError, match="mps is on, but no MPS daemon answers on gpu-1"):
        check(mps="on")
    assert check(mps="off") == check(gpus_per_trial=0) == check(gpus_per_trial=1) == []
    subprocess.run(["nvidia-cuda-mps-control", "-d"], check=True, stdout=subprocess.DEVNULL)
    assert check() == check(mps="on") == []


@pytest.mark.ray
def test_search_starts_and_stops_mps(machine, workspace):
    shared = ("--gpus-per-trial", "auto", "--set", "resources.max_concurrent_trials=2")
    workspace.environment = workspace.environment | {"PATH": machine.path}
    machine.set("broken")
    output = workspace.run(
        "search", "tiny.yaml", "--name", "shared", *workspace.data, *shared,
        "--set", "resources.mps=on", status=2,
    )  # fmt: skip
    assert "resources.mps is on, but the MPS daemon cannot be started" in output
    assert not workspace.folder("shared").exists(), "the name stays free"
    (machine.folder / "broken").unlink()
    output = workspace.run(
        "search", "tiny.yaml", "--name", "shared", *workspace.data, *shared, "--trials", "2"
    )
    assert "MPS" not in output
    assert {row["status"] for row in workspace.rows("shared")} <= {"completed", "stopped"}
    (daemon,) = machine.daemons()
    wait_until(lambda: not runs(daemon))
