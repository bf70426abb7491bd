"""The command that has a cluster run a search by itself, and fetches what comes out."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.cli.tracking import track_overrides
from handsigns.console.progress import progress
from handsigns.console.sanitize import note, printable
from handsigns.errors import ConfigError, ResourceError, ResultsError
from handsigns.workflow import flow
from handsigns.workflow.user_code import own_code_of_space

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.config.user_code import OwnCode

_FAILED = 1
_SPACE = "space.yaml"
_ENTRY = "tune_main.py"


def submit(options: Namespace) -> int:
    """Hand a search to a cluster, follow its log, and bring its results here."""
    overrides = [*options.overrides, *track_overrides(options.track)]
    study, space = flow.choose_study(options.space, overrides, vars(options))
    if study.storage is None:
        raise ConfigError(
            "where are the results to lie, so that they outlive the cluster and can be fetched? "
            "Name a place that the cluster and this machine reach: --storage s3://bucket/runs, or "
            "a shared folder"
        )
    if options.data is not None and not options.data.is_absolute():
        raise ConfigError(
            f"--data {options.data}: a job has a folder of its own there, so give the whole path "
            f"of the pictures on the cluster's head"
        )
    own = own_code_of_space(study, space, allowed=options.own_code)
    options.name = options.name or flow.new_name(options.space)

    from handsigns.cluster.jobs import job_client
    from handsigns.results.paths import SearchPaths

    paths = SearchPaths.named(options.results, options.name)  # told before anything is sent
    job = f"handsigns-{options.name}"
    with _told(options.address):
        client = job_client(options.address)
        if not _is_known(client, job):
            flow.refuse_taken(paths, study.storage)
            _send(client, job, options, study, own)
        status = _follow(client, job, options)
    return _fetch(job, status, options, study.storage)


@contextlib.contextmanager
def _told(address: str) -> Iterator[None]:
    """Say what to do where the cluster's job server is not reached, or lets us not in."""
    from handsigns.cluster.jobs import troubles

    try:
        yield
    except troubles() as error:
        raise ResourceError(
            f"the job server at {address} cannot be used: {' '.join(str(error).split())}\n"
            f"give the address of the cluster's dashboard (--address http://HOST:8265; from afar "
            f"by way of 'ssh -L 8265:localhost:8265 HOST'), and let RAY_AUTH_MODE=token and "
            f"RAY_AUTH_TOKEN_PATH name its token. What was submitted goes on; the same command, "
            f"with its --name, follows it again"
        ) from error


def _is_known(client: Any, job: str) -> bool:
    """Whether the cluster has such a job, as the user followed it before."""
    known = any(found.submission_id == job for found in client.list_jobs())
    if known:
        print(f"{job} is known to the cluster ({client.get_job_status(job).value})")
    return known


def _send(
    client: Any, job: str, options: Namespace, study: StudyConfig, own: OwnCode | None
) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="handsigns-") as name,
        progress(f"sending the code and the space to {options.address}") as report,
    ):
        report(0, 1)
        folder = Path(name)
        _stage(folder, study, own)
        client.submit_job(
            entrypoint=shlex.join(["python", *_command(options)]),
            submission_id=job,
            runtime_env={"working_dir": name},
            metadata={"name": options.name},
        )
        report(1, 1)


def _stage(folder: Path, study: StudyConfig, own: OwnCode | None) -> None:
    """What the cluster needs, beside the packages it has: our code, the space, the user's code."""
    from handsigns.config.load import dump_study
    from handsigns.results.environment import CODE

    leave = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CODE, folder / CODE.name, ignore=leave)
    start = "import sys\n\nfrom handsigns.cli import main\n\nsys.exit(main())\n"
    (folder / _ENTRY).write_text(start, encoding="utf-8")
    (folder / _SPACE).write_text(dump_study(study), encoding="utf-8")
    for module in own.modules.values() if own else ():
        path = folder / f"{module.name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(module.source, encoding="utf-8")


def _command(options: Namespace) -> list[str]:
    """The same command there, on the whole cluster; what was set is in the space."""
    given = {
        "--name": options.name,
        "--address": "auto",
        "--data": options.data,
        "--size": options.size,
        "--seeds": options.seeds,
        "--skip-bad": options.skip_bad,
        "--ensemble": options.ensemble,
        "--own-code": options.own_code,
    }
    command = [_ENTRY, "run", _SPACE, "--no-report"]
    for flag, value in given.items():
        if value is True:
            command.append(flag)
        elif value is not None and value is not False:
            command += [flag, str(value)]
    return command


def _follow(client: Any, job: str, options: Namespace) -> str | None:
    """Print what a job prints, until it ends; its status then, or None where the user leaves."""
    again = f"the same command with --name {options.name} follows it again"
    print(f"{job} runs on the cluster, also without this command; Ctrl-C leaves it: {again}")
    try:
        asyncio.run(_print_log(client, job))
    except KeyboardInterrupt:
        return None
    finally:
        status = client.get_job_info(job).status
    return str(status.value) if status.is_terminal() else None


async def _print_log(client: Any, job: str) -> None:
    async for lines in client.tail_job_logs(job):
        for line in lines.splitlines():
            print(printable(line), flush=True)


def _fetch(job: str, status: str | None, options: Namespace, storage: str) -> int:
    """Bring here what an ended job has left, and tell where it is."""
    if status is None:
        print(
            f"{job} goes on; the same command with --name {options.name} follows it again, and "
            f"'ray job stop {job} --address {options.address}' ends it",
            file=sys.stderr,
        )
        return 0
    if status != "SUCCEEDED":
        print(
            f"{job} ended as {status}; its log says why. What it had done is kept: python "
            f"tune_main.py resume {options.name} --storage {storage}; or submit anew, under "
            f"another --name",
            file=sys.stderr,
        )
    try:
        flow.bring_here(options.results, options.name, storage)
    except ResultsError as error:
        note(f"nothing was fetched: {error}")
        return _FAILED
    print(f"its results are here, in {options.results / options.name}, and in {storage}")
    return 0 if status == "SUCCEEDED" else _FAILED
