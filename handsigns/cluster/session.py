"""Ray: started for this search alone, or joined where the user has a cluster."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import secrets
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from handsigns.cluster import ray_compat
from handsigns.cluster.isolation import environment, process_as_before
from handsigns.errors import ResourceError
from handsigns.io.home import substitute_home
from handsigns.io.lock import LockedError, hold
from handsigns.results.environment import CODE

_SCRATCH = "handsigns-"
_TOKEN = "token"
_LOCK = "lock"
_OBJECT_STORE_BYTES = 256 * 2**20
"""Beside the pictures."""
_LONGEST_FOLDER = 107 - len("/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1")
"""Of Ray's files, in bytes: a socket's address has 108 with its end."""
_START_TRIES = 3
"""Ray gives its processes 30 seconds to start, which a machine that is very busy may not keep."""

SEALED_OFF: dict[str, str | None] = {
    # On Linux this keeps every listener of a Ray of our own on 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": None,  # it would count for more than the path of the one made for the run
}
"""A Ray of our own, whatever the environment says of others."""

_SETTINGS: dict[str, str | None] = {
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
    # Trials of several threads: see `handsigns.host.passive_waiting`.
    "OMP_WAIT_POLICY": "passive",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class RaySession:
    """A running Ray.

    Attributes:
        scratch: a folder on this machine that only its owner reads and that is gone afterwards.
        joined: whether it is not our own: it may have several nodes, which may come and go.
        dashboard: where Ray's dashboard is, and what it asks for; empty where it is off.
    """

    scratch: Path
    joined: bool
    dashboard: str = ""


@contextlib.contextmanager
def ray_session(
    address: str | None,
    data_bytes: int,
    *,
    dashboard: bool = False,
    preload: Sequence[str] = (),
) -> Iterator[RaySession]:
    """A running Ray; the environment of this process is as before when it ends.

    Args:
        address: of a cluster to join (``auto`` finds the one on this machine), whose nodes are
            handed this package; None takes the Ray that this process is connected to already, or
            starts one, which listens on loopback only and asks for a token made for this run.
        data_bytes: of the images that the trials share, for which a Ray of our own makes room.
        dashboard: start Ray's dashboard with a Ray of our own, on loopback.
        preload: modules to load while Ray starts, which is mostly waiting for its processes.

    Raises:
        ResourceError: there is no cluster at the address, or it refuses us; or no Ray could start.
    """
    with contextlib.ExitStack() as stack:
        connected = _is_connected()
        own = address is None and not connected
        stack.enter_context(process_as_before())
        stack.callback(ray_compat.reread_environment)  # when that is as before
        try:
            home = substitute_home()
        except OSError as error:
            raise ResourceError(f"Ray needs a home folder: {error}") from error
        if home is not None:  # Ray looks for it as it is loaded
            stack.enter_context(environment({"HOME": str(home)}))
        usual = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
        stack.enter_context(environment(usual | (SEALED_OFF if own else {})))
        scratch = stack.enter_context(scratch_folder())
        if connected:
            if address is not None:
                raise ResourceError(
                    "this process is connected to a Ray already, so it cannot join the one at "
                    f"{address}: call ray.shutdown() first, or leave the address out to use it"
                )
            yield RaySession(scratch, joined=True)
            return
        if own:
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(new_token(scratch))
            ray_compat.reread_environment()
        # The settings above are read as Ray is imported.
        import ray

        if own:
            stack.enter_context(ray_compat.listening_on_loopback())
        stack.callback(ray.shutdown)
        loading = threading.Thread(target=lambda: list(map(importlib.import_module, preload)))
        loading.start()
        try:
            url = _start(address, data_bytes, dashboard)
        finally:
            loading.join()
        if own:
            stack.enter_context(ray_compat.trials_in_waiting_processes())
        shown = f"Ray's dashboard: http://{url}" if dashboard else ""
        if shown and own:
            shown += f" (it asks for the token in {scratch / _TOKEN})"
        yield RaySession(scratch, not own, shown)


def _is_connected() -> bool:
    """Whether this process uses a Ray already, such as a notebook that has called ray.init()."""
    if "ray" not in sys.modules:
        return False
    import ray

    return bool(ray.is_initialized())


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
            with contextlib.nullcontext() if dashboard else ray_compat.without_dashboard_agents():
                context = ray.init(
                    address="local",
                    include_dashboard=dashboard,
                    dashboard_host="127.0.0.1",
                    log_to_driver=False,
                    object_store_memory=_OBJECT_STORE_BYTES + data_bytes,
                    _temp_dir=_ray_folder(),
                )
        except Exception as error:  # Ray's own, of no type, where its processes are late
            ray.shutdown()
            failures.append(error)
        else:
            return str(context.dashboard_url)
    raise ResourceError(
        f"Ray could not be started on this machine, in {_START_TRIES} tries: {failures[-1]}\n"
        f"its logs, which may tell more, are in {_ray_folder() or _usual_ray_folder()}"
    ) from failures[-1]


def _usual_ray_folder() -> Path:
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"


def _ray_folder() -> str | None:
    """The folder of Ray's sockets, whose names may not be long; None where its usual one will do.

    Raises:
        ResourceError: there is none.
    """
    usual = _usual_ray_folder()
    if len(os.fsencode(usual)) <= _LONGEST_FOLDER:
        return None
    for other in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.access(other, os.W_OK):
            return f"{other}/ray"
    raise ResourceError(
        f"{usual} has too long a name for Ray's sockets, which may have {_LONGEST_FOLDER} "
        f"characters there, and /tmp cannot be written; name a shorter folder: TMPDIR=/short"
    )


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
