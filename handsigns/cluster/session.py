"""Ray session of a search: a local Ray started for it, or a cluster that it joins."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from handsigns.cluster import ray_compat
from handsigns.cluster.isolation import environment, restore_process_state
from handsigns.cluster.nodes import visible_devices
from handsigns.cluster.scratch import TOKEN_FILE, create_token, scratch_dir
from handsigns.errors import ResourceError
from handsigns.host import available_cpus, is_installed
from handsigns.io.home import fallback_home
from handsigns.results.environment import PACKAGE_DIR

_OBJECT_STORE_BASE_BYTES = 256 * 2**20
"""Size of a local object store, in addition to the images."""
_MAX_TEMP_DIR_BYTES = 107 - len(
    "/session_2026-01-01_00-00-00_000000_4194304/sockets/plasma_store.1"
)
"""Longest path of Ray's files: a Unix socket's address has 108 bytes, with a terminating zero."""
_MAX_START_ATTEMPTS = 3
"""Attempts to start Ray: on a very busy machine its processes may miss its 30-second timeout."""

LOOPBACK_ONLY_ENV: dict[str, str | None] = {
    # On Linux this keeps every listener of a local Ray on 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": None,  # it would take precedence over the path of this run's token
}
"""Environment of a local Ray; overrides what the user has set for other clusters."""

_RAY_ENV: dict[str, str | None] = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    # The journal and the live display replace Ray's loggers, tables and snapshots.
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # The searcher decides how many trials are pending.
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",
    # A reused process keeps its working directory, so relative paths stay valid.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # A trial that is stopped during an evaluation needs more than Ray's two seconds.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
    # A trial that still does not stop at the end of the search is killed.
    "TUNE_FORCE_TRIAL_CLEANUP_S": "60",
    # For trials with several threads: see `handsigns.host.passive_omp_wait`.
    "OMP_WAIT_POLICY": "passive",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True)
class RaySession:
    """Running Ray.

    Attributes:
        scratch_dir: private temporary folder on this machine, removed at the end.
        is_external: whether Ray was joined, not started here; nodes may then be added and removed.
        dashboard_notice: URL of Ray's dashboard and where its token is; empty if it is off.
    """

    scratch_dir: Path
    is_external: bool
    dashboard_notice: str = ""


@contextlib.contextmanager
def ray_session(
    address: str | None,
    data_bytes: int,
    *,
    dashboard: bool = False,
    preload: Sequence[str] = (),
) -> Iterator[RaySession]:
    """Start or join Ray, and restore this process's environment at the end.

    Args:
        address: address of a cluster to join (``auto`` finds the one on this machine); this package
            is shipped to its nodes. None uses the Ray that this process is connected to, or starts
            a local one, which binds to loopback and requires a per-run token.
        data_bytes: size of the images that trials share; a local object store has room for them.
        dashboard: whether to start Ray's dashboard with a local Ray, on loopback.
        preload: modules to import while Ray starts, which mostly waits for its processes.

    Raises:
        ResourceError: no cluster accepts a connection at the address, or Ray cannot be started.
    """
    with contextlib.ExitStack() as stack:
        already_connected = _is_connected()
        start_local = starts_local_ray(address)
        stack.enter_context(restore_process_state())
        stack.callback(ray_compat.reload_ray_config)  # runs once the environment is restored
        try:
            home = fallback_home()
        except OSError as error:
            raise ResourceError(f"Ray needs a home folder: {error}") from error
        if home is not None:  # Ray reads it on import
            stack.enter_context(environment({"HOME": str(home)}))
        ray_env = {name: value for name, value in _RAY_ENV.items() if name not in os.environ}
        # Ray would count an invalid entry as a GPU.
        local_env = LOOPBACK_ONLY_ENV | {"CUDA_VISIBLE_DEVICES": visible_devices()}
        stack.enter_context(environment(ray_env | (local_env if start_local else {})))
        scratch = stack.enter_context(scratch_dir())
        if already_connected:
            if address is not None:
                raise ResourceError(
                    "this process is already connected to Ray, so it cannot join the cluster at "
                    f"{address}: call ray.shutdown() first, or omit the address to use it"
                )
            yield RaySession(scratch, is_external=True)
            return
        if start_local:
            os.environ["RAY_AUTH_TOKEN_PATH"] = str(create_token(scratch))
            ray_compat.reload_ray_config()
        # The settings above are read as Ray is imported.
        import ray

        if start_local:
            stack.enter_context(ray_compat.bind_to_loopback())
        stack.callback(ray.shutdown)
        loading = threading.Thread(target=lambda: list(map(importlib.import_module, preload)))
        loading.start()
        try:
            url = _start_or_join(address, data_bytes, dashboard)
        finally:
            loading.join()
        if start_local:
            stack.enter_context(ray_compat.reuse_prestarted_workers())
        dashboard_notice = f"Ray's dashboard: http://{url}" if dashboard else ""
        if dashboard_notice and start_local:
            dashboard_notice += f" (log in with the token in {scratch / TOKEN_FILE})"
        yield RaySession(scratch, not start_local, dashboard_notice)


def starts_local_ray(address: str | None) -> bool:
    """Return whether `ray_session` starts a local Ray, rather than use or join another one."""
    return address is None and not _is_connected()


def _is_connected() -> bool:
    """Return whether this process is connected to Ray, as a notebook after ray.init() is."""
    if "ray" not in sys.modules:
        return False
    import ray

    return bool(ray.is_initialized())


def _start_or_join(address: str | None, data_bytes: int, dashboard: bool) -> str:
    """Start or join Ray; return host and port of its dashboard, if it has one."""
    import ray

    if dashboard and not is_installed("aiohttp_cors"):
        raise ResourceError(
            "Ray's dashboard (--dashboard) needs more packages: pip install 'ray[default]'"
        )
    if address is None:
        return _start_local_ray(data_bytes, dashboard)
    # The nodes run exactly this code, whatever version they have installed.
    shipped = {"py_modules": [str(PACKAGE_DIR)]}
    try:
        context = ray.init(address=address, log_to_driver=False, runtime_env=shipped)
        return str(context.dashboard_url)
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise ResourceError(
            f"cannot connect to a Ray cluster at {address}: {error}\n"
            f"start one with 'ray start --head' there, and set RAY_AUTH_TOKEN_PATH to the path of "
            f"its token; or omit --address to search on this machine"
        ) from error


def _start_local_ray(data_bytes: int, dashboard: bool) -> str:
    import ray

    temp_dir = _ray_temp_dir()
    failures: list[Exception] = []
    while len(failures) < _MAX_START_ATTEMPTS:
        try:
            with contextlib.nullcontext() if dashboard else ray_compat.without_dashboard_agents():
                context = ray.init(
                    address="local",
                    num_cpus=available_cpus(),  # Ray disregards the affinity of the process
                    include_dashboard=dashboard,
                    dashboard_host="127.0.0.1",
                    log_to_driver=False,
                    object_store_memory=_OBJECT_STORE_BASE_BYTES + data_bytes,
                    _temp_dir=temp_dir,
                )
        except Exception as error:  # Ray raises a bare Exception if its processes time out
            ray.shutdown()
            failures.append(error)
        else:
            return str(context.dashboard_url)
    raise ResourceError(
        f"cannot start Ray on this machine ({_MAX_START_ATTEMPTS} attempts): {failures[-1]}\n"
        f"see Ray's logs in {temp_dir or _default_ray_temp_dir()}"
    ) from failures[-1]


def _default_ray_temp_dir() -> Path:
    return Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / "ray"


def _ray_temp_dir() -> str | None:
    """Return a folder with a short path for Ray's sockets; None if the default one is short enough.

    Raises:
        ResourceError: there is none.
    """
    default = _default_ray_temp_dir()
    if len(os.fsencode(default)) <= _MAX_TEMP_DIR_BYTES:
        return None
    for other in ("/tmp", "/var/tmp", "/dev/shm"):
        if os.access(other, os.W_OK):
            return f"{other}/ray"
    raise ResourceError(
        f"{default} is too long a path for Ray's sockets (at most {_MAX_TEMP_DIR_BYTES} bytes), "
        f"and /tmp is not writable; set a shorter folder: TMPDIR=/short"
    )
