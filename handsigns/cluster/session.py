"""Ray: started for this search alone, or joined where the user has a cluster."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handsigns.errors import ResourceError
from handsigns.io.lock import LockedError, hold
from handsigns.results.environment import CODE

_SCRATCH = "handsigns-"
_TOKEN = "token"
_LOCK = "lock"
_OBJECT_STORE_BYTES = 256 * 2**20
"""Beside the pictures."""
_START_TRIES = 3
"""Ray gives its processes 30 seconds to start, which a machine that is very busy may not keep."""

SEALED_OFF = {
    # On Linux this keeps every listener of a Ray of our own on 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
}
"""A Ray of our own, whatever the environment says of others."""

_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    # The journal and our display take the place of Ray's loggers, tables and snapshots.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # How many trials wait for a place is the searcher's decision.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # A reused process keeps its working directory, so that relative paths mean the same.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # A trial that is told to stop while it evaluates needs more than Ray's two seconds.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # One that does not stop at the end of the search all the same is ended then.
    "TUNE_FORCE_TRIAL_CLEANUP_S": "60",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class RaySession:
    """A running Ray.

    Attributes:
        scratch: a folder on this machine that only its owner reads and that is gone afterwards.
        dashboard: where Ray's dashboard is, and what it asks for; empty where it is off.
    """

    scratch: Path
    dashboard: str


@contextlib.contextmanager
def ray_session(
    address: str | None, data_bytes: int, *, dashboard: bool = False
) -> Iterator[RaySession]:
    """A running Ray.

    Args:
        address: of a cluster to join (``auto`` finds the one on this machine), whose nodes are
            handed this package; None starts a Ray of
            our own, which listens on loopback only and asks for a token made for this run.
        data_bytes: of the pictures that the trials share, for which a Ray of our own makes room.
        dashboard: start Ray's dashboard with a Ray of our own, on loopback.

    Raises:
        ResourceError: there is no cluster at the address, or it refuses us; or no Ray could start.
    """
    with contextlib.ExitStack() as stack:
        for name, value in _SETTINGS.items():
            os.environ.setdefault(name, value)
        scratch = stack.enter_context(scratch_folder())
        if address is None:
            os.environ.update(SEALED_OFF)
            _use_token(new_token(scratch))
        # The settings above are read as Ray is imported.
        import ray

        stack.callback(ray.shutdown)
        # Starting Ray is mostly waiting for its processes: time to load the rest.
        loading = threading.Thread(target=_load_engine)
        loading.start()
        try:
            url = _start(address, data_bytes, dashboard)
        finally:
            loading.join()
        if address is None:
            _start_trials_in_waiting_processes()
        shown = f"Ray's dashboard: http://{url}" if dashboard else ""
        if shown and address is None:
            shown += f" (it asks for the token in {scratch / _TOKEN})"
        yield RaySession(scratch, shown)


def _start(address: str | None, data_bytes: int, dashboard: bool) -> str:
    """Start or join Ray; host and port of its dashboard, if it has one."""
    import ray

    if dashboard and importlib.util.find_spec("aiohttp_cors") is None:
        raise ResourceError(
            "Ray's dashboard (--dashboard) needs more packages: pip install 'ray[default]'"
        )
    if address is None:
        return _start_own(data_bytes, dashboard)
    # The nodes run this very code, whatever they have installed.
    shipped = {"py_modules": [str(CODE)]}
    try:
        context = ray.init(address=address, log_to_driver=False, runtime_env=shipped)
        return str(context.dashboard_url)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ResourceError(
            f"no Ray cluster could be joined at {address}: {error}\n"
            f"start one with 'ray start --head' there, and let RAY_AUTH_TOKEN_PATH name its "
            f"token; or leave --address out to search on this machine"
        ) from error


def _start_own(data_bytes: int, dashboard: bool) -> str:
    import ray

    failures: list[Exception] = []
    while len(failures) < _START_TRIES:
        try:
            with contextlib.nullcontext() if dashboard else _without_agents():
                context = ray.init(
                    address="local",
                    include_dashboard=dashboard,
                    dashboard_host="127.0.0.1",
                    log_to_driver=False,
                    object_store_memory=_OBJECT_STORE_BYTES + data_bytes,
                )
        except Exception as error:  # Ray's own, of no type, where its processes are late
            ray.shutdown()
            failures.append(error)
        else:
            return str(context.dashboard_url)
    raise ResourceError(
        f"Ray could not be started on this machine, in {_START_TRIES} tries: {failures[-1]}\n"
        f"Where the machine is very busy, wait, and try again."
    ) from failures[-1]


@contextlib.contextmanager
def _without_agents() -> Iterator[None]:
    """Have Ray start as it does where ray[default] is not installed, also where it is: otherwise it
    loads its dashboard and an agent of it, seconds of two processes that no one asked for.
    """
    from ray._private import utils

    original = utils.get_dashboard_dependency_error
    utils.get_dashboard_dependency_error = lambda: ImportError("no dashboard was asked for")
    try:
        yield
    finally:
        utils.get_dashboard_dependency_error = original


def _load_engine() -> None:
    """Load what a search uses beside Ray itself, seconds' worth."""
    import optuna  # noqa: F401
    import ray.tune  # noqa: F401


def _start_trials_in_waiting_processes() -> None:
    """Let trials run in the processes that a Ray of our own keeps ready.

    Tune names some variables of the environment to each trial, and for a trial that has such wishes
    Ray starts another process, by way of a third one: seconds, in which Ray is loaded twice more.
    The processes of a Ray that we started have our environment as it is.
    """
    from ray.tune.execution import class_cache

    class_cache.DEFAULT_ENV_VARS.clear()
    class_cache.ENV_VARS_TO_PROPAGATE.clear()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder that only its owner reads, removed afterwards; those of killed searches, too."""
    _sweep_scratch()
    with tempfile.TemporaryDirectory(prefix=_SCRATCH) as name:
        folder = Path(name)
        # The lock ends with this process, however it ends, and so tells which folders are in use.
        with hold(folder / "new-lock"):
            (folder / "new-lock").rename(folder / _LOCK)
            yield folder


def _sweep_scratch() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        if (folder / _LOCK).exists():
            with contextlib.suppress(OSError, LockedError), hold(folder / _LOCK):
                shutil.rmtree(folder, ignore_errors=True)


def new_token(folder: Path) -> Path:
    """A token made for this run, in a file that only its owner reads."""
    path = folder / _TOKEN
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
        file.write(secrets.token_hex(32))
    return path


def _use_token(path: Path) -> None:
    """Have Ray ask for this token, also if it knows one of an earlier search of this process."""
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)
    os.environ.pop("RAY_AUTH_TOKEN", None)  # it would count for more
    if "ray" in sys.modules:
        from ray._raylet import AuthenticationTokenLoader  # type: ignore[attr-defined]

        AuthenticationTokenLoader.instance().reset_cache()
