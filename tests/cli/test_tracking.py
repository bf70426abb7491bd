"""`track`, `dashboard` and `--track`, on a search that was played by a script."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from handsigns.cli import main
from handsigns.config.load import load_study
from handsigns.data.splits import DataInfo
from handsigns.metrics import EpochMetrics
from handsigns.results.journal import Journal
from handsigns.results.paths import SearchPaths
from handsigns.results.store import DataRecord, begin_search, held
from handsigns.results.trial import Placement, Session
from tests.security.test_network import listeners
from tests.support.records import make_spec

REPOSITORY = Path(__file__).resolve().parents[2]
SPACE = "space:\n  learning_rate: {type: log_uniform, low: 1e-4, high: 1e-2}\n"


@pytest.fixture
def played(tmp_path, monkeypatch):
    """A search with a trial that ended and one that runs; the working folder has its results."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "space.yaml").write_text(SPACE)
    study = load_study(tmp_path / "space.yaml")
    info = DataInfo("bands", "f" * 32, ("high", "low"), 16, {"train": (4, 4), "val": (2, 2)})
    paths = SearchPaths.named(tmp_path / "results", "played")
    begin_search(paths, study, DataRecord(info, None, 16, False))
    journal = Journal(paths.journal, writable=True)
    journal.open_session(Session("f" * 32, {}))
    for number, epochs in enumerate((3, 1)):
        trial_id = f"{number:04d}"
        journal.start(make_spec(trial_id, {"learning_rate": 1e-3 * (number + 1)}))
        for epoch in range(1, epochs + 1):
            metrics = EpochMetrics(epoch, 0.7, 0.6, 0.5 / epoch, 0.5, 0.5, 1e-3, 1.0)
            journal.report(trial_id, metrics, Placement("laptop/1", "cpu", 1))
    journal.end("0000", "completed")
    journal.close()
    return paths


def start_dashboard(*arguments) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, str(REPOSITORY / "tune_main.py"), "dashboard", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    said = ""
    for line in process.stdout:
        said += line
        if found := re.match(r"http://127\.0\.0\.1:\d+/", line):
            return process, found[0]
    raise AssertionError(said)


def get(url, host=None):
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.read().decode()


def trials(url):
    return len(json.loads(get(f"{url}api/studies/0"))["trials"])


def test_the_dashboard_shows_the_search_as_it_is_and_grows(played):
    pytest.importorskip("optuna_dashboard")
    process, url = start_dashboard("played", "--port", "0")
    try:
        assert '"study_name": "played"' in get(f"{url}api/studies")
        assert "<title>Optuna Dashboard</title>" in get(f"{url}dashboard")
        assert trials(url) == 2
        journal = Journal(played.journal, writable=True)
        journal.start(make_spec("0002", {"learning_rate": 5e-3}))
        journal.close()
        mirror_again(played)
        for _ in range(60):  # it looks again after some seconds
            if trials(url) == 3:
                break
            time.sleep(1)
        assert trials(url) == 3
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            get(f"{url}api/studies", host="elsewhere.example")
        refused.value.close()
        if Path("/proc/net/tcp").exists():
            assert listeners([process.pid]) == {"127.0.0.1": [url[:-1].rpartition(":")[2]]}
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in output


def mirror_again(paths):
    """As the running search does it."""
    from handsigns.results.store import open_search
    from handsigns.tracking.base import TrackedSearch
    from handsigns.tracking.registry import make_tracker
    from handsigns.tracking.worker import hand_on

    stored = open_search(paths)
    tracker = make_tracker("optuna", TrackedSearch(paths, stored.study, stored.data.info))
    tracker.open(stored.journal.records)
    hand_on(tracker, stored.journal.records)


def test_a_dashboard_needs_no_lock_and_no_writable_folder(played):
    """The dashboard of a search that another process holds writes nothing into its folder."""
    pytest.importorskip("optuna_dashboard")
    with held(played):
        before = sorted(path.name for path in played.root.iterdir())
        process, url = start_dashboard("played", "--port", "0")
        try:
            assert trials(url) == 2
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)
        assert sorted(path.name for path in played.root.iterdir()) == before


def test_a_search_of_long_ago_is_handed_to_a_tool(played, capsys):
    pytest.importorskip("tensorboard")
    assert main(["track", "played", "--to", "tensorboard"]) == 0
    assert "tensorboard --logdir results/played/tensorboard" in capsys.readouterr().out
    files = {path: path.read_bytes() for path in played.tensorboard.rglob("*tfevents*")}
    assert len(files) == 3, "the columns, and two trials"
    assert main(["track", "played", "--to", "tensorboard"]) == 0
    assert {path: path.read_bytes() for path in files} == files


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["track", "played", "--to", "excel"], "'excel' is no tool to track with (tensorboard,"),
        (["track", "played", "--to", "mlflow=nowhere"], "'nowhere' is neither true nor false nor"),
        (["track", "none", "--to", "mlflow"], "no search named none"),
        (["dashboard", "none"], "no search named none"),
        (["search", "quick", "--track", "tensorbord"], "'tensorbord' is no tool to track with"),
        (
            ["search", "quick", "--track", "mlflow=http://me:pw@host"],
            "MLFLOW_TRACKING_PASSWORD",
        ),
        (["resume", "played", "--track", "x"], "'x' is no tool to track with"),
    ],
)
def test_mistakes_are_told_at_once(played, arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["search", "quick", "--track", "mlflow,wandb", "--name", "new"],
        ["resume", "played", "--track", "mlflow,wandb"],
        ["track", "played", "--to", "mlflow,wandb"],
    ],
)
def test_a_missing_extra_is_told_before_anything_starts(played, arguments, capsys, monkeypatch):
    real = __import__("importlib.util").util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name, *rest: None if name in ("mlflow", "wandb") else real(name, *rest),
    )
    assert main(arguments) == 2
    assert "pip install 'handsigns[mlflow,wandb]'" in capsys.readouterr().err
    assert not (played.root.parent / "new").exists()
    assert not played.mlflow.exists()


def test_a_port_that_is_taken_is_told(played):
    pytest.importorskip("optuna_dashboard")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, str(REPOSITORY / "tune_main.py"), "dashboard", "played",
             "--port", port],
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert f"--port {port} cannot be listened on" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_is_not_there_is_told(played, capsys, monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]  # and no longer listened on
    assert main(["track", "played", "--to", f"mlflow=http://127.0.0.1:{port}"]) == 2
    assert "error: mlflow could not be told: MlflowException" in capsys.readouterr().err
