"""`track`, `dashboard` and `--track` on a scripted search."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from handsigns.cli import main
from handsigns.config.load import load_search_config
from handsigns.data.splits import DataInfo
from handsigns.io.storage import open_storage
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.search_lock import search_lock
from handsigns.results.store import DataRecord, create_search
from handsigns.results.sync import RemoteCopy
from handsigns.results.trial import Placement, Session
from tests.security.test_network import listeners
from tests.support.records import make_spec
from tests.support.workspace import REPOSITORY, wait_until

pytestmark = pytest.mark.slow

SPACE = "space:\n  learning_rate: {type: log_uniform, low: 1e-4, high: 1e-2}\n"


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """Search with a finished and a running trial, in the current results folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    config = load_search_config(tmp_path / "space.yaml")
    info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4), "val": (2, 2)})
    paths = SearchPaths.for_name(tmp_path / "results", "scripted")
    create_search(paths, config, DataRecord(info, None, 16, False))
    journal = Journal(paths.journal, writable=True)
    journal.start_session(Session("f" * 32, {}))
    for number, epochs in enumerate((3, 1)):
        trial_id = f"{number:04d}"
        journal.start_trial(make_spec(trial_id, {"learning_rate": 1e-3 * (number + 1)}))
        for epoch in range(1, epochs + 1):
            metrics = EpochMetrics(epoch, 0.7, 0.6, 0.5 / epoch, 0.5, 0.5, 1e-3, 1.0)
            journal.report_epoch(trial_id, metrics, Placement("laptop/1", "cpu", 1))
    journal.end_trial("0000", "completed")
    journal.close()
    return paths


def start_dashboard(*arguments) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "tune_main.py"), "dashboard", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    output = ""
    for line in process.stdout:
        output += line
        if found := re.match(r"http://127\.0\.0\.1:\d+/", line):
            return process, found[0]
    raise AssertionError(output)


def get(url, host=None):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=60) as response:
        return response.read().decode()


def num_trials(url):
    return len(json.loads(get(f"{url}api/studies/0"))["trials"])


def test_the_dashboard_follows_a_growing_search(scripted):
    pytest.importorskip("optuna_dashboard")
    process, url = start_dashboard("scripted", "--port", "0")
    try:
        assert '"study_name": "scripted"' in get(f"{url}api/studies")
        assert "<title>Optuna Dashboard</title>" in get(f"{url}dashboard")
        assert num_trials(url) == 2
        journal = Journal(scripted.journal, writable=True)
        journal.start_trial(make_spec("0002", {"learning_rate": 5e-3}))
        journal.close()
        update_optuna_journal(scripted)
        wait_until(lambda: num_trials(url) == 3, seconds=60)  # it polls every few seconds
        with pytest.raises(urllib.error.HTTPError, match="403") as caught:
            get(f"{url}api/studies", host="elsewhere.example")
        caught.value.close()
        if Path("/proc/net/tcp").exists():
            assert listeners([process.pid]) == {"127.0.0.1": [url[:-1].rpartition(":")[2]]}
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in output


def update_optuna_journal(paths):
    """Update it as the running search does."""
    from handsigns.results.store import open_search
    from handsigns.tracking.background import update_tracker
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.registry import make_tracker

    stored = open_search(paths)
    tracker = make_tracker("optuna", TrackedSearch(paths, stored.config, stored.data.info))
    tracker.open(stored.journal.records)
    update_tracker(tracker, stored.journal.records)


def test_the_dashboard_of_a_locked_search_writes_no_files(scripted):
    pytest.importorskip("optuna_dashboard")
    with search_lock(scripted):
        before = sorted(path.name for path in scripted.root.iterdir())
        process, url = start_dashboard("scripted", "--port", "0")
        try:
            assert num_trials(url) == 2
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert sorted(path.name for path in scripted.root.iterdir()) == before


def test_files_of_a_search_running_elsewhere_stay_as_pulled(scripted, capsys, monkeypatch):
    pytest.importorskip("optuna_dashboard")
    update_optuna_journal(scripted)
    journal = Journal(scripted.journal, writable=True)
    journal.start_trial(make_spec("0002", {"learning_rate": 5e-3}))
    journal.close()
    Path("shared").mkdir()
    with monkeypatch.context() as other_machine:
        other_machine.setattr("socket.gethostname", lambda: "elsewhere")
        RemoteCopy(scripted, open_storage("shared/scripted")).push(running=True)
    served = []
    monkeypatch.setattr(
        "handsigns.reporting.optuna_dashboard.serve",
        lambda file, *_: served.append((file.resolve(), file.read_bytes())),
    )
    pulled = SearchPaths.for_name(Path("there").resolve(), "scripted")
    options = ["scripted", "--results", "there", "--storage", "shared"]
    assert main(["dashboard", *options]) == 0
    content = scripted.optuna_journal.read_bytes()
    assert served == [(pulled.optuna_journal, content)]
    assert main(["track", *options, "--to", "tensorboard"]) == 2
    assert "is being run by process" in capsys.readouterr().err
    assert not pulled.tensorboard.exists()


def test_exporting_a_search_to_tensorboard_is_idempotent(scripted, capsys):
    pytest.importorskip("tensorboard")
    assert main(["track", "scripted", "--to", "tensorboard"]) == 0
    assert "tensorboard --logdir results/scripted/tensorboard" in capsys.readouterr().out
    files = {path: path.read_bytes() for path in scripted.tensorboard.rglob("*tfevents*")}
    assert len(files) == 3, "the columns, and two trials"
    assert main(["track", "scripted", "--to", "tensorboard"]) == 0
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["track", "scripted", "--to", "excel"],
            "'excel' is not an experiment tracker; use any of tensorboard,",
        ),
        (
            ["track", "scripted", "--to", "mlflow=nowhere"],
            "'nowhere' is neither true nor false nor",
        ),
        (["track", "scripted", "--to", ""], "no experiment tracker is given; pass any of tensor"),
        (["track", "scripted", "--to", "mlflow=false"], "no experiment tracker is given"),
        (["track", "none", "--to", "mlflow"], "no search named none"),
        (["dashboard", "none"], "no search named none"),
        (["search", "quick", "--track", "tensorbord"], "'tensorbord' is not an experiment tracker"),
        (
            ["search", "quick", "--track", "mlflow=http://me:pw@host"],
            "MLFLOW_TRACKING_PASSWORD",
        ),
        (["resume", "scripted", "--track", "x"], "'x' is not an experiment tracker"),
    ],
)
def test_user_errors_are_reported(scripted, arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "quick", "--track", "mlflow,wandb", "--name", "new"],
        ["resume", "scripted", "--track", "mlflow,wandb"],
        ["track", "scripted", "--to", "mlflow,wandb"],
    ],
)
def test_a_missing_extra_is_reported_before_anything_starts(
    scripted, arguments, capsys, monkeypatch
):
    real = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name in ("mlflow", "wandb") else real(name, *rest),
    )
    assert main(arguments) == 2
    assert "pip install 'handsigns[mlflow,wandb]'" in capsys.readouterr().err
    assert not (scripted.root.parent / "new").exists()
    assert not scripted.mlflow.exists()


def test_a_port_in_use_is_reported(scripted):
    pytest.importorskip("optuna_dashboard")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        completed = subprocess.run(
            [sys.executable, str(REPOSITORY / "tune_main.py"), "dashboard", "scripted",
             "--port", port],
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip
    assert completed.returncode == 2, completed.stderr
    assert f"cannot listen on --port {port}" in completed.stderr
    assert "Traceback" not in completed.stderr


def test_an_unreachable_tracking_server_is_reported(scripted, capsys, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]  # closed by now
    assert main(["track", "scripted", "--to", f"mlflow=http://127.0.0.1:{port}"]) == 2
    assert "error: export to mlflow failed: MlflowException" in capsys.readouterr().err
