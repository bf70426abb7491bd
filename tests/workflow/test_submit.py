"""Submission of a search to a fake job server."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from handsigns.cli import main
from handsigns.cluster.jobs import job_client
from handsigns.config.hyperparameters import TrialConfig
from handsigns.results.networks import Network, read_latency_table, write_latency_table
from handsigns.results.remote_copies import copy_in_storage
from tests.support.scripted import simulate_search


class Server:
    """Fake job server.

    Args:
        status: final status of the job.
        fails: name of the request that fails.
        on_log: called when the log is requested.
    """

    def __init__(self, status="FAILED", fails="", on_log=None):
        self.status, self.fails, self.on_log = status, fails, on_log
        self.submitted = False

    def _request(self, name):
        if self.fails == name:
            raise ConnectionError("the head is down")

    def list_jobs(self):
        self._request("list_jobs")
        return []

    def submit_job(self, *, entrypoint, runtime_env, **_):
        self._request("submit_job")
        self.submitted = True
        self.entrypoint = entrypoint
        folder = Path(runtime_env["working_dir"])
        self.files = {path.name: path.read_text() for path in folder.glob("*.*")}

    async def tail_job_logs(self, _):
        self._request("tail_job_logs")
        if self.on_log is not None:
            self.on_log()
        yield "pip: no such package\n"

    def get_job_info(self, _):
        status = SimpleNamespace(value=self.status, is_terminal=lambda: self.status != "RUNNING")
        return SimpleNamespace(status=status, message="Runtime env setup failed")


@pytest.fixture
def submit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()

    def run(server, *options):
        monkeypatch.setattr("handsigns.cluster.jobs.job_client", lambda *_: server)
        status = main(
            ["submit", "quick", "--name", "sent", "--address", "http://head:8265",
             "--storage", str(tmp_path / "shared"), *options]
        )  # fmt: skip
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_a_job_that_fails_at_setup_leaves_no_results(submit):
    status, output = submit(Server())
    assert status == 1
    assert "handsigns-sent ended as FAILED" in output
    assert "Runtime env setup failed" in output
    assert "no results were fetched: " in output
    assert "another --name than sent" in output
    assert "kept" not in output
    assert "resume" not in output


@pytest.mark.parametrize(
    ("fails", "state"),
    [
        ("list_jobs", "nothing was submitted"),
        ("submit_job", "it is not known whether handsigns-sent was submitted"),
        ("tail_job_logs", "handsigns-sent was submitted; to follow it, run the same command with"),
    ],
)
def test_an_unreachable_job_server_is_reported(submit, fails, state):
    status, output = submit(Server(fails=fails))
    assert status == 2
    assert "the job server at http://head:8265 cannot be used: the head is down" in output
    assert f"\n{state}" in output
    assert "keeps running" not in output


def test_partial_results_of_a_failed_job_can_be_resumed(submit, tmp_path):
    def push_partial_results():
        search = simulate_search(tmp_path / "there", "sent", end=False)
        remote_copy = copy_in_storage(search.paths, str(tmp_path / "shared"))
        assert remote_copy is not None
        remote_copy.push()

    status, output = submit(Server(on_log=push_partial_results))
    assert status == 1
    assert "results: results/sent, and in " in output
    assert "next: resume it: python -m handsigns resume sent" in output


def test_detaching_from_a_running_job_fetches_nothing(submit):
    def interrupt():
        raise KeyboardInterrupt

    status, output = submit(Server("RUNNING", on_log=interrupt))
    assert status == 0
    assert "detached, handsigns-sent keeps running" in output
    assert "fetched" not in output


def test_logs_of_the_ray_client_go_to_a_file(tmp_path, monkeypatch, capfd):
    pytest.importorskip("ray")
    ray = logging.getLogger("ray")
    monkeypatch.setattr(ray, "handlers", list(ray.handlers))
    monkeypatch.setattr(ray, "propagate", ray.propagate)
    log = tmp_path / "results" / "sent.submit.log"
    with pytest.raises((OSError, RuntimeError, ValueError)):
        job_client("http://127.0.0.1:9", log)
    assert not log.exists(), "nothing was logged"
    logging.getLogger("ray.dashboard.modules.job.sdk").warning("something")
    assert "something" in log.read_text()
    assert "something" not in capfd.readouterr().err


def test_the_table_of_latencies_is_uploaded(submit, tmp_path):
    table = {Network.of(TrialConfig(), 64, 6): 1.5}
    write_latency_table(tmp_path / "phone.csv", table)
    server = Server()
    submit(server, "--set", "limits.latency_ms=5", "--set", "limits.latency_table=phone.csv")
    assert "latency_table: latencies.csv" in server.files["space.yaml"]
    (tmp_path / "sent.csv").write_text(server.files["latencies.csv"])
    assert read_latency_table(tmp_path / "sent.csv") == table


def test_tables_of_corrections_are_uploaded(submit, tmp_path):
    (tmp_path / "mine.csv").write_text("image,suggested\na.png,5\n")
    (tmp_path / "out.csv").write_text("image\nb.png\n")
    server = Server()
    (tmp_path / "more.csv").write_text("image,suggested\nc.png,4\n")
    tables = ["--relabel", "mine.csv", "--relabel", "more.csv", "--exclude", "out.csv"]
    submit(server, *tables)
    assert server.files["relabel-1.csv"] == (tmp_path / "mine.csv").read_text()
    assert server.files["relabel-2.csv"] == (tmp_path / "more.csv").read_text()
    assert server.files["exclude-1.csv"] == (tmp_path / "out.csv").read_text()
    assert (
        "--relabel relabel-1.csv --relabel relabel-2.csv --exclude exclude-1.csv"
        in server.entrypoint
    )


def test_unusable_tables_of_corrections_are_not_submitted(submit, tmp_path):
    (tmp_path / "mine.csv").write_text("file\na.png\n")
    server = Server()
    status, output = submit(server, "--relabel", "mine.csv")
    assert (status, server.submitted) == (2, False)
    assert "mine.csv" in output
