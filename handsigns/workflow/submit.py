"""Submit a search to a cluster as a job, follow its log, and fetch its results."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.console.progress import progress
from handsigns.console.sanitize import note
from handsigns.errors import ConfigError, ResourceError, ResultsError
from handsigns.results.paths import SearchPaths
from handsigns.workflow.new_search import NewSearchRequest, choose_space
from handsigns.workflow.next_step import next_step
from handsigns.workflow.searches import open_at
from handsigns.workflow.sync import ensure_name_free, pull
from handsigns.workflow.user_code import user_code_of_space

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode

_SPACE = "space.yaml"
_SUCCEEDED = "SUCCEEDED"
_LONGEST_MESSAGE = 500
"""Characters of what Ray says of a job that are shown."""


@dataclass(frozen=True)
class Submission:
    """A search as a job of a cluster.

    Attributes:
        request: the search that is asked for.
        paths: where its results will be here.
        storage: from which they are fetched.
        address: of the cluster's dashboard, which takes jobs.
        seeds: number of models to retrain.
        ensemble: whether to keep all of these as one.
    """

    request: NewSearchRequest
    paths: SearchPaths
    storage: str
    address: str
    seeds: int
    ensemble: bool

    @property
    def job(self) -> str:
        """The job's name."""
        return f"handsigns-{self.paths.name}"

    @property
    def log(self) -> Path:
        """Where what Ray's client prints goes."""
        return self.paths.root.with_name(f"{self.paths.root.name}.submit.log")

    @property
    def again(self) -> str:
        """How to follow the job again."""
        return f"the same command with --name {self.paths.name} follows it"

    @property
    def command(self) -> list[str]:
        """The search as a command on the whole cluster; what was set is in its space."""
        given = {
            "--name": self.paths.name,
            "--address": "auto",
            "--data": self.request.data,
            "--size": self.request.size,
            "--seeds": self.seeds,
            "--skip-bad": self.request.skip_bad,
            "--ensemble": self.ensemble,
            "--own-code": self.request.trust_user_code,
        }
        command = ["python", "-m", "handsigns", "run", _SPACE, "--no-report"]
        for flag, value in given.items():
            if value is True:
                command.append(flag)
            elif value is not None and value is not False:
                command += [flag, str(value)]
        return command


def submit(request: NewSearchRequest, address: str, *, seeds: int, ensemble: bool) -> bool:
    """Submit a search, print its log until it ends or the user leaves, and fetch its results.

    A job that the cluster knows by the search's name is followed, not submitted again.

    Returns:
        False where the job failed.

    Raises:
        ConfigError: the search cannot run there as it is asked for.
        ResultsError: the name is taken.
        ResourceError: the cluster's job server cannot be used.
    """
    study, space = choose_space(request)
    storage = _storage(study, request)
    user_code = user_code_of_space(study, space, allowed=request.trust_user_code)
    paths = SearchPaths.named(request.results, request.new_name)
    submission = Submission(request, paths, storage, address, seeds, ensemble)

    from handsigns.cluster.jobs import job_client

    with _job_server(submission, "nothing was submitted"):
        client = job_client(address, submission.log)
        known = _is_known(client, submission.job)
    if not known:
        ensure_name_free(paths, storage)
        unsure = f"it is not known whether {submission.job} was submitted; {submission.again}"
        with _job_server(submission, unsure):
            _send(client, submission, study, user_code)
    with _job_server(submission, f"{submission.job} was submitted; {submission.again}"):
        status = _follow(client, submission)
    return _fetch(submission, status)


def _storage(study: StudyConfig, request: NewSearchRequest) -> str:
    if study.storage is None:
        raise ConfigError(
            "where are the results to lie, so that they outlive the cluster and can be fetched? "
            "Name a place that the cluster and this machine reach: --storage s3://bucket/runs, or "
            "a shared folder"
        )
    if request.data is not None and not request.data.is_absolute():
        raise ConfigError(
            f"--data {request.data}: a job has a folder of its own there, so give the whole path "
            f"of the pictures on the cluster's head"
        )
    return study.storage


@contextlib.contextmanager
def _job_server(submission: Submission, stands: str) -> Iterator[None]:
    """Report what to do where the cluster's job server cannot be reached, or refuses us.

    Args:
        submission: what is submitted.
        stands: what is known of the job if this fails, or the user interrupts it.
    """
    from handsigns.cluster.jobs import troubles

    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; {stands}") from error
    except troubles() as error:
        more = f"; more in {submission.log}" if submission.log.is_file() else ""
        raise ResourceError(
            f"the job server at {submission.address} cannot be used: "
            f"{' '.join(str(error).split())}{more}\n{stands}. Give the address of the cluster's "
            f"dashboard (--address http://HOST:8265; from afar by way of "
            f"'ssh -L 8265:localhost:8265 HOST'), and let RAY_AUTH_MODE=token and "
            f"RAY_AUTH_TOKEN_PATH name its token"
        ) from error


def _is_known(client: Any, job: str) -> bool:
    """Return whether the cluster has such a job, as after an earlier `submit`."""
    known = any(found.submission_id == job for found in client.list_jobs())
    if known:
        print(f"{job} is known to the cluster ({client.get_job_status(job).value})")
    return known


def _send(
    client: Any, submission: Submission, study: StudyConfig, user_code: OwnCode | None
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="handsigns-") as folder,
        progress(f"sending the code and the space to {submission.address}") as report,
    ):
        report(0, 1)
        _stage(Path(folder), study, user_code)
        client.submit_job(
            entrypoint=shlex.join(submission.command),
            submission_id=submission.job,
            runtime_env={"working_dir": folder},
            metadata={"name": submission.paths.name},
        )
        report(1, 1)


def _stage(folder: Path, study: StudyConfig, user_code: OwnCode | None) -> None:
    """Collect what the cluster needs beside the packages it has: this one, space, user code."""
    from handsigns.config.load import dump_study
    from handsigns.results.environment import CODE

    shutil.copytree(CODE, folder / CODE.name, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / _SPACE).write_text(dump_study(study), encoding="utf-8")
    for module in user_code.modules.values() if user_code else ():
        path = folder / f"{module.name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module.source, encoding="utf-8")


def _follow(client: Any, submission: Submission) -> str | None:
    """Print what the job prints; return its status at the end, None where the user leaves."""
    from handsigns.cluster.jobs import print_log

    job = submission.job
    print(
        f"{job} runs on the cluster, also without this command; Ctrl-C leaves it: "
        f"{submission.again} again"
    )
    try:
        print_log(client, job)
    except KeyboardInterrupt:
        return None
    finally:
        info = client.get_job_info(job)
    if not info.status.is_terminal():
        return None
    if info.status.value != _SUCCEEDED and info.message:
        note(f"the cluster says of {job}: {' '.join(info.message.split())[:_LONGEST_MESSAGE]}")
    return str(info.status.value)


def _fetch(submission: Submission, status: str | None) -> bool:
    """Pull what a job that has ended left, and print where it is."""
    job, paths, storage = submission.job, submission.paths, submission.storage
    if status is None:
        print(
            f"{job} was left as it is; {submission.again} again, and 'ray job stop {job} "
            f"--address {submission.address}' ends it",
            file=sys.stderr,
        )
        return True
    succeeded = status == _SUCCEEDED
    if not succeeded:
        print(f"{job} ended as {status}; its log, above, may say why", file=sys.stderr)
    try:
        pull(paths, storage)
    except ResultsError as error:
        other = f"submit it anew, under another --name than {paths.name}"
        note(f"nothing was fetched: {error}; {'' if succeeded else other}".removesuffix("; "))
        return False
    print(f"its results are here, in {paths.root}, and in {storage}")
    if not succeeded:
        print(f"next: {next_step(open_at(paths))}")
    return succeeded
