"""All use of Ray's private API: the reason for it, and the fallback on a Ray that lacks it.

Tested with the versions that pyproject.toml declares (`make test-versions`). Patches are undone at
the end of a search. Where an attribute is missing that is patched for speed, searches start slower,
but run; without one that is patched for security they fail.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from handsigns.errors import ResourceError

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def _patched(module: str, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace an attribute of one of Ray's modules within the context, if it exists.

    Args:
        make: returns the replacement, given the original.
    """
    try:
        module_object = importlib.import_module(module)
        original = getattr(module_object, name)
        replacement = make(original)
    except (ImportError, AttributeError) as error:
        _log.warning("this version of Ray has no %s.%s: %s", module, name, error)
        yield
        return
    setattr(module_object, name, replacement)
    try:
        yield
    finally:
        setattr(module_object, name, original)


def without_dashboard_agents() -> contextlib.AbstractContextManager[None]:
    """Start Ray as if ray[default] were not installed, even if it is.

    Otherwise Ray starts its dashboard and a dashboard agent: two unrequested processes that take
    seconds to load and listen on ports.
    """
    return _patched(
        "ray._private.utils",
        "get_dashboard_dependency_error",
        lambda _: lambda: ImportError("no dashboard requested"),
    )


@contextlib.contextmanager
def reuse_prestarted_workers() -> Iterator[None]:
    """Run trials in the worker processes that a local Ray prestarts.

    Tune gives each trial a runtime environment with some environment variables. For such a trial
    Ray starts another process via a third one, which takes seconds, as both import Ray again. The
    workers of a local Ray inherit this process's environment anyway.
    """
    cache = "ray.tune.execution.class_cache"
    with (
        _patched(cache, "DEFAULT_ENV_VARS", lambda _: {}),
        _patched(cache, "ENV_VARS_TO_PROPAGATE", lambda _: frozenset()),
    ):
        yield


def warm_actor_pool(free_workers: Callable[[], int]) -> contextlib.AbstractContextManager[None]:
    """Have Tune keep an idle actor alive for each trial that can start now.

    By default Tune keeps one, and those for which trials are pending. If several trials end at
    once, it kills the other processes, and then starts new ones for the trials that it requests
    next, which take seconds to load.

    Args:
        free_workers: returns how many trials can start now.
    """
    return _patched(
        "ray.tune.execution.tune_controller",
        "_ObjectCache",
        lambda original: functools.partial(_with_demand_forecast(original), free_workers),
    )


def _with_demand_forecast(cache: Any) -> Any:
    """Return a subclass of Tune's actor cache in which upcoming trials count as pending."""

    class ActorCache(cache):  # type: ignore[misc]
        def __init__(self, free_workers: Callable[[], int], may_keep_one: bool) -> None:
            super().__init__(may_keep_one)
            self._free_workers = free_workers

        def cache_object(self, key: Any, obj: Any) -> bool:
            with self._counting_upcoming([key]):
                return bool(super().cache_object(key, obj))

        def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
            with self._counting_upcoming(list(self._cached_objects)):
                yield from super().flush_cached_objects(force_all)

        @contextlib.contextmanager
        def _counting_upcoming(self, keys: list[Any]) -> Iterator[None]:
            # All trials of a search request the same resources, which are the key.
            more = self._free_workers()
            for key in keys:
                self.increase_max(key, more)
            try:
                yield
            finally:
                for key in keys:
                    self.decrease_max(key, more)

    return ActorCache


def reload_ray_config() -> None:
    """Have a Ray that is already imported reread its settings and token from the environment.

    Ray reads them once, on import. A search in a process that imported Ray before would otherwise
    run with stale settings, and so would the user's Ray after a search.
    """
    if "ray" in sys.modules:
        from ray._raylet import (  # type: ignore[attr-defined]
            AuthenticationTokenLoader,
            Config,
        )

        Config.initialize("")  # first: a thread of Ray's may ask for the token in between
        AuthenticationTokenLoader.instance().reset_cache()


def bind_to_loopback() -> contextlib.AbstractContextManager[None]:
    """Keep every listener on loopback, even if Ray was imported before our settings were set.

    For security there is no fallback.

    Raises:
        ResourceError: this version of Ray has no such setting.
    """
    import ray
    from ray._private import ray_constants

    if not hasattr(ray_constants, "ENABLE_RAY_CLUSTER"):
        raise ResourceError(
            f"Ray {ray.__version__} would accept connections from other machines: it has no "
            f"ray_constants.ENABLE_RAY_CLUSTER; use an earlier version: "
            f"pip install 'ray[tune]<{ray.__version__}'"
        )
    return _patched("ray._private.ray_constants", "ENABLE_RAY_CLUSTER", lambda _: False)


def serve_on_loopback(host: str) -> None:
    """Have the gRPC server of each Ray Serve replica listen on `host` only.

    Ray Serve would bind it to every address. It starts after the deployment's class is created.
    For security there is no fallback: on a Ray without this attribute the command fails.
    """
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, _: add_port(server, f"{host}:0")


def get_actor(trial: Any) -> Any:
    """Return the handle of the actor that a Tune trial runs in; None if it has none."""
    return trial.temporary_state.ray_actor


def get_failure_cause(trial: Any) -> tuple[bool, str]:
    """Return whether a failed Tune trial lost its whole node, and Ray's error text.

    Only the text distinguishes the loss of a node from that of a process. It is read from the file
    directly, as `get_error` reads a copy that may be written later.
    """
    error_text = Path(trial.error_file).read_text(encoding="utf-8")
    return "its node has died" in error_text, error_text


class Rung(NamedTuple):
    """Rung of Ray's ASHA: its epoch, and the values recorded there, where higher is better."""

    milestone: float
    values: Mapping[str, float]
    bracket: Any

    @property
    def cutoff(self) -> float | None:
        """Worst value that is promoted, given those recorded so far."""
        cutoff = self.bracket.cutoff(self.values)
        return None if cutoff is None else float(cutoff)


def assign_bracket(asha: Any, trial_id: str, choose: Callable[[list[int]], int]) -> None:
    """Assign a trial to a bracket of Ray's ASHA, which would draw it from a global random state.

    Args:
        choose: returns the index of the bracket, given the number of rungs of each.
    """
    brackets = asha._brackets
    chosen = choose([len(bracket._rungs) for bracket in brackets])
    asha._trial_info[trial_id] = brackets[chosen]


def rungs(asha: Any, trial_id: str) -> list[Rung]:
    """Return the rungs of a trial's bracket, the highest epoch first."""
    bracket = asha._trial_info[trial_id]
    return [Rung(epoch, values, bracket) for epoch, values in bracket._rungs]


def median_comparison(rule: Any, trial: Any, epoch: int) -> tuple[float, list[float]]:
    """Return the values that Ray's median rule compares after an epoch.

    Returns:
        The trial's best value, and the running means of the other trials.
    """
    others = [other for other in rule._trials_beyond_time(epoch) if other != trial]
    return float(rule._best_result(trial)), [float(rule._running_mean(o, epoch)) for o in others]
