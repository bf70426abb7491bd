"""What is said of a submitted search, with a job server that is scripted."""

import logging
from types import SimpleNamespace

import pytest

from handsigns.cli import main
from handsigns.cluster.jobs import job_client
from handsigns.results.sync import named_mirror
from tests.support.scripted import scripted


class Server:
    """A job server that knows one job at most; `fails` names the request at which it is down."""

    def __init__(self, status="FAILED", fails="", leaves=None):
        self.status, self.fails, self.leaves = status, fails, leaves
        self.submitted = False

    def _request(self, name):
        if self.fails == name:
            raise ConnectionError("the head is down")

    def list_jobs(self):
        self._request("list_jobs")
        return []

    def submit_job(self, **_):
        self._request("submit_job")
        self.submitted = True

    async def tail_job_logs(self, _):
        self._request("tail_job_logs")
        if self.leaves is not None:
            self.leaves()
        yield "pip: no such package\n"

    def get_job_info(self, _):
        status = SimpleNamespace(value=self.status, is_terminal=lambda: self.status != "RUNNING")
        return SimpleNamespace(status=status, message="Runtime env setup failed")


@pytest.fixture
def submit(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shared").mkdir()

    def run(server):
        monkeypatch.setattr("handsigns.cluster.jobs.job_client", lambda *_: server)
        status = main(
            ["submit", "quick", "--name", "sent", "--address", "http://head:8265",
             "--storage", str(tmp_path / "shared")]
        )  # fmt: skip
        captured = capsys.readouterr()
        return status, captured.out + captured.err

    return run


def test_a_job_that_fails_before_it_begins_leaves_nothing(submit):
    status, said = submit(Server())
    assert status == 1
    assert "handsigns-sent ended as FAILED" in said
    assert "Runtime env setup failed" in said
    assert "nothing was fetched: " in said
    assert "another --name than sent" in said
    assert "kept" not in said
    assert "resume" not in said


@pytest.mark.parametrize(
    ("fails", "stands"),
    [
        ("list_jobs", "nothing was submitted"),
        ("submit_job", "it is not known whether handsigns-sent was submitted"),
        ("tail_job_logs", "handsigns-sent was submitted; the same command with --name sent"),
    ],
)
def test_a_head_that_is_down(submit, fails, stands):
    status, said = submit(Server(fails=fails))
    assert status == 2
    assert "the job server at http://head:8265 cannot be used: the head is down" in said
    assert f"\n{stands}" in said
    assert "goes on" not in said


def test_what_a_failed_job_left_can_be_resumed(submit, tmp_path):
    def leaves():
        left = scripted(tmp_path / "there", "sent", end=False)
        mirror = named_mirror(left.paths, str(tmp_path / "shared"))
        assert mirror is not None
        mirror.push()

    status, said = submit(Server(leaves=leaves))
    assert status == 1
    assert "its results are here" in said
    assert "next: resume it: python -m handsigns resume sent" in said


def test_a_job_that_is_left_is_not_fetched(submit):
    def leave():
        raise KeyboardInterrupt

    status, said = submit(Server("RUNNING", leaves=leave))
    assert status == 0
    assert "handsigns-sent was left as it is" in said
    assert "fetched" not in said


def test_what_ray_logs_goes_to_a_file(tmp_path, monkeypatch, capfd):
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
