"""Submission of a search to a cluster as a Ray job, and download of its results."""

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
from handsigns.workflow.new_search import NewSearchRequest, load_space
from handsigns.workflow.next_step import next_step
from handsigns.workflow.retrain import RetrainRequest
from handsigns.workflow.searches import open_at
from handsigns.workflow.sync import ensure_name_free, pull
from handsigns.workflow.user_code import load_user_code_for_space

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode

_SPACE_FILE = "space.yaml"
_LATENCY_FILE = "latencies.csv"
_SUCCEEDED = "SUCCEEDED"
_MAX_MESSAGE_CHARS = 500
"""Characters shown of Ray's message on a failed job."""


@dataclass(frozen=True)
class Submission:
    """Search submitted to a cluster as a job.

    Attributes:
        request: the requested search.
        paths: local paths of its results.
        storage: storage from which they are pulled.
        address: address of the cluster's dashboard, which accepts jobs.
        retraining: the requested retraining.
    """

    request: NewSearchRequest
    paths: SearchPaths
    storage: str
    address: str
    retraining: RetrainRequest

    @property
    def job_id(self) -> str:
        """ID of the job."""
        return f"handsigns-{self.paths.name}"

    @property
    def client_log(self) -> Path:
        """Log file of Ray's job client."""
        return self.paths.root.with_name(f"{self.paths.root.name}.submit.log")

    @property
    def reattach_hint(self) -> str:
        """How to follow the job again."""
        return f"to follow it, run the same command with --name {self.paths.name}"

    @property
    def command(self) -> list[str]:
        """The job's command line; settings and overrides are in its search space."""
        options = {
            "--name": self.paths.name,
            "--address": "auto",
            "--data": self.request.data,
            "--size": self.request.size,
            "--seeds": self.retraining.seeds,
            "--skip-bad": self.request.skip_bad,
            "--ensemble": self.retraining.ensemble,
            "--trust-user-code": self.request.trust_user_code,
        }
        command = ["python", "-m", "handsigns", "run", _SPACE_FILE, "--no-report"]
        for flag, value in options.items():
            if value is True:
                command.append(flag)
            elif value is not None and value is not False:
                command += [flag, str(value)]
        for flag, name, _ in _correction_tables(self.request):
            command += [flag, name]
        return command


def _correction_tables(request: NewSearchRequest) -> Iterator[tuple[str, str, Path]]:
    """Yield option, name on the cluster, and path of each table of corrections."""
    for kind, paths in (("relabel", request.relabel), ("exclude", request.exclude)):
        for number, path in enumerate(paths, 1):
            yield f"--{kind}", f"{kind}-{number}.csv", path


def submit(request: NewSearchRequest, retraining: RetrainRequest, address: str) -> bool:
    """Submit a search, print its log until it ends or the user detaches, and pull its results.

    A job that already exists under the search's name is followed, not submitted again.

    Returns:
        Whether the job succeeded, or the user detached.

    Raises:
        ConfigError: the request cannot run on a cluster.
        DataError: a table of labels to correct cannot be used.
        ResultsError: the name is taken.
        ResourceError: the cluster's job server cannot be used.
    """
    config, space = load_space(request)
    storage = _storage(config, request)
    user_code = load_user_code_for_space(config, space, allowed=request.trust_user_code)
    paths = SearchPaths.for_name(request.results, request.resolved_name)
    submission = Submission(request, paths, storage, address, retraining)

    from handsigns.cluster.jobs import job_client
    from handsigns.data.corrections import read_corrections

    read_corrections(request.relabel, request.exclude)  # the job would fail otherwise
    with _job_server_errors(submission, "nothing was submitted"):
        client = job_client(address, submission.client_log)
        known = _job_exists(client, submission.job_id)
    if not known:
        ensure_name_free(paths, storage)
        unknown_state = (
            f"it is not known whether {submission.job_id} was submitted; {submission.reattach_hint}"
        )
        with tempfile.TemporaryDirectory(prefix="handsigns-") as folder:
            _stage_working_dir(Path(folder), request, config, user_code)
            with _job_server_errors(submission, unknown_state):
                _submit_job(client, submission, folder)
    with _job_server_errors(
        submission, f"{submission.job_id} was submitted; {submission.reattach_hint}"
    ):
        status = _tail_log(client, submission)
    return _fetch_results(submission, status)


def _storage(config: SearchConfig, request: NewSearchRequest) -> str:
    if config.storage is None:
        raise ConfigError(
            "--storage is missing: name storage that the cluster and this machine can access, so "
            "that the results outlive the cluster: --storage s3://bucket/runs, or a shared folder"
        )
    if request.data is not None and not request.data.is_absolute():
        raise ConfigError(
            f"--data {request.data} is a relative path; a job has its own working folder, so give "
            f"the absolute path of the images on the cluster's head node"
        )
    return config.storage


@contextlib.contextmanager
def _job_server_errors(submission: Submission, job_state: str) -> Iterator[None]:
    """Report the remedy if the cluster's job server is unreachable or refuses the request.

    Args:
        submission: the job.
        job_state: what to report about the job on an error or interrupt.
    """
    from handsigns.cluster.jobs import client_errors

    try:
        yield
    except KeyboardInterrupt as error:
        raise KeyboardInterrupt(f"interrupted; {job_state}") from error
    except client_errors() as error:
        more = f"; more in {submission.client_log}" if submission.client_log.is_file() else ""
        raise ResourceError(
            f"the job server at {submission.address} cannot be used: "
            f"{' '.join(str(error).split())}{more}\n{job_state}. Give the address of the cluster's "
            f"dashboard (--address http://HOST:8265; remotely: 'ssh -L 8265:localhost:8265 HOST') "
            f"and its token (RAY_AUTH_MODE=token, RAY_AUTH_TOKEN_PATH)"
        ) from error


def _job_exists(client: Any, job: str) -> bool:
    """Return whether the cluster already has the job, from an earlier `submit`."""
    known = any(found.submission_id == job for found in client.list_jobs())
    if known:
        print(f"{job} exists on the cluster ({client.get_job_status(job).value})")
    return known


def _submit_job(client: Any, submission: Submission, working_dir: str) -> None:
    with progress(f"uploading code and search space to {submission.address}") as report:
        report(0, 1)
        client.submit_job(
            entrypoint=shlex.join(submission.command),
            submission_id=submission.job_id,
            runtime_env={"working_dir": working_dir},
            metadata={"name": submission.paths.name},
        )
        report(1, 1)


def _stage_working_dir(
    folder: Path, request: NewSearchRequest, config: SearchConfig, user_code: UserCode | None
) -> None:
    """Collect what the cluster lacks: this package, the search space, tables, user code."""
    from handsigns.config.load import dump_search_config
    from handsigns.results.environment import copy_package
    from handsigns.results.networks import read_latency_table, write_latency_table

    copy_package(folder)
    table = config.limits.latency_table
    if table is not None:
        write_latency_table(folder / _LATENCY_FILE, read_latency_table(Path(table)))
        limits = config.limits.model_copy(update={"latency_table": _LATENCY_FILE})
        config = config.model_copy(update={"limits": limits})
    for _, name, file in _correction_tables(request):
        shutil.copyfile(file, folder / name)
    (folder / _SPACE_FILE).write_text(dump_search_config(config), encoding="utf-8")
    for module in user_code.modules.values() if user_code else ():
        path = folder / f"{module.name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module.source, encoding="utf-8")


def _tail_log(client: Any, submission: Submission) -> str | None:
    """Print the job's log; return its final status, None if the user detaches."""
    from handsigns.cluster.jobs import stream_job_logs

    job = submission.job_id
    print(f"{job} runs on the cluster; Ctrl-C detaches from it; {submission.reattach_hint}")
    try:
        stream_job_logs(client, job)
    except KeyboardInterrupt:
        return None
    finally:
        info = client.get_job_info(job)
    if not info.status.is_terminal():
        return None
    if info.status.value != _SUCCEEDED and info.message:
        note(f"message of the cluster: {' '.join(info.message.split())[:_MAX_MESSAGE_CHARS]}")
    return str(info.status.value)


def _fetch_results(submission: Submission, status: str | None) -> bool:
    """Pull the results of a finished job, and print where they are."""
    job, paths, storage = submission.job_id, submission.paths, submission.storage
    if status is None:
        print(
            f"detached, {job} keeps running; {submission.reattach_hint}; to stop it: "
            f"ray job stop {job} --address {submission.address}",
            file=sys.stderr,
        )
        return True
    succeeded = status == _SUCCEEDED
    if not succeeded:
        print(f"{job} ended as {status}; see its log above", file=sys.stderr)
    try:
        pull(paths, storage)
    except ResultsError as error:
        remedy = "" if succeeded else f"; submit it again under another --name than {paths.name}"
        note(f"no results were fetched: {error}{remedy}")
        return False
    print(f"results: {paths.root}, and in {storage}")
    if not succeeded:
        print(f"next: {next_step(open_at(paths))}")
    return succeeded
