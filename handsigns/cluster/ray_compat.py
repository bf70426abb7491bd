"""Every touch of Ray's private parts: the reason, and what happens on a Ray that has them no more.

Tested with the versions that pyproject.toml declares (`make test-versions`). Patches last as long
as a search and are undone then. Where a patched part is gone, searches start slower, but run.
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

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def _patched(module: str, name: str, make: Callable[[Any], Any]) -> Iterator[None]:
    """Replace an attribute of a module of Ray's while this lasts, if it is there.

    Args:
        make: returns the replacement, given the original.
    """
    try:
        owner = importlib.import_module(module)
        original = getattr(owner, name)
        replacement = make(original)
    except (ImportError, AttributeError) as error:
        _log.warning("this Ray has no %s.%s: %s", module, name, error)
        yield
        return
    setattr(owner, name, replacement)
    try:
        yield
    finally:
        setattr(owner, name, original)


def without_dashboard_agents() -> contextlib.AbstractContextManager[None]:
    """Start Ray as where ray[default] is not installed, also where it is.

    Otherwise it loads its dashboard and an agent of it: seconds of two processes that no one asked
    for, and which listen.
    """
    return _patched(
        "ray._private.utils",
        "get_dashboard_dependency_error",
        lambda _: lambda: ImportError("no dashboard was asked for"),
    )


@contextlib.contextmanager
def trials_in_waiting_processes() -> Iterator[None]:
    """Let trials run in the processes that a Ray of our own keeps ready.

    Tune names some environment variables to each trial, and for a trial that has such wishes Ray
    starts another process, by way of a third one: seconds, in which Ray is loaded twice more. The
    processes of a Ray that we started have our environment as it is.
    """
    cache = "ray.tune.execution.class_cache"
    with (
        _patched(cache, "DEFAULT_ENV_VARS", lambda _: {}),
        _patched(cache, "ENV_VARS_TO_PROPAGATE", lambda _: frozenset()),
    ):
        yield


def warm_actor_pool(free_workers: Callable[[], int]) -> contextlib.AbstractContextManager[None]:
    """Have Tune keep as many processes as there are trials to start in them soon.

    Tune itself keeps those that a trial waits for, and one. Where more trials end in the same
    moment it ends their processes, and has others started for the trials that it asks for next,
    which take seconds to load.

    Args:
        free_workers: returns how many trials may start now.
    """
    return _patched(
        "ray.tune.execution.tune_controller",
        "_ObjectCache",
        lambda original: functools.partial(_expectant(original), free_workers),
    )


def _expectant(cache: Any) -> Any:
    """Return Tune's cache of processes, in which a trial that is to come counts as waiting."""

    class ActorCache(cache):  # type: ignore[misc]
        def __init__(self, free_workers: Callable[[], int], may_keep_one: bool) -> None:
            super().__init__(may_keep_one)
            self._free_workers = free_workers

        def cache_object(self, key: Any, obj: Any) -> bool:
            with self._expecting([key]):
                return bool(super().cache_object(key, obj))

        def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
            with self._expecting(list(self._cached_objects)):
                yield from super().flush_cached_objects(force_all)

        @contextlib.contextmanager
        def _expecting(self, keys: list[Any]) -> Iterator[None]:
            """All trials of a search ask for the same resources, which are the key."""
            more = self._free_workers()
            for key in keys:
                self.increase_max(key, more)
            try:
                yield
            finally:
                for key in keys:
                    self.decrease_max(key, more)

    return ActorCache


def reread_environment() -> None:
    """Have a Ray that is loaded already read its settings and its token from the environment anew.

    It reads them once, as it is loaded; a search in a process that has loaded Ray before, and the
    user's own Ray after a search, would run with each other's.
    """
    if "ray" in sys.modules:
        from ray._raylet import (  # type: ignore[attr-defined]
            AuthenticationTokenLoader,
            Config,
        )

        Config.initialize("")  # first: a thread of Ray's may ask for the token in between
        AuthenticationTokenLoader.instance().reset_cache()


def listening_on_loopback() -> contextlib.AbstractContextManager[None]:
    """Keep every listener on loopback, also where Ray was loaded before our settings were made."""
    return _patched("ray._private.ray_constants", "ENABLE_RAY_CLUSTER", lambda _: False)


def serve_on_loopback(host: str) -> None:
    """Have the server that Ray Serve gives each replica, for others of its kind, listen on `host`.

    Ray Serve would have it on every address. It is started after the deployment's class is made.
    For the safety of users there is no fallback: on a Ray without this part the command fails.
    """
    from ray.serve._private import replica

    add_port = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, _: add_port(server, f"{host}:0")


def actor_of(trial: Any) -> Any:
    """Return the handle of the process that a Tune trial runs in; None where it has none."""
    return trial.temporary_state.ray_actor


def loss_of(trial: Any) -> tuple[bool, str]:
    """Return whether a failed Tune trial lost its whole node, and what Ray says of it.

    Ray tells the two apart in words alone. They are not read by `get_error`, which reads a copy
    that may be made later.
    """
    cause = Path(trial.error_file).read_text(encoding="utf-8")
    return "its node has died" in cause, cause


class Rung(NamedTuple):
    """A rung of Ray's ASHA: its epoch, and the values recorded there, higher where better."""

    milestone: float
    values: Mapping[str, float]
    bracket: Any

    @property
    def cutoff(self) -> float | None:
        """The worst value that goes on, by those recorded now."""
        cutoff = self.bracket.cutoff(self.values)
        return None if cutoff is None else float(cutoff)


def assign_bracket(asha: Any, trial_id: str, choose: Callable[[list[int]], int]) -> None:
    """Place a trial in a bracket of Ray's ASHA, which would draw it from a global random state.

    Args:
        choose: returns the bracket's number, given the number of rungs of each.
    """
    brackets = asha._brackets
    chosen = choose([len(bracket._rungs) for bracket in brackets])
    asha._trial_info[trial_id] = brackets[chosen]


def rungs(asha: Any, trial_id: str) -> list[Rung]:
    """Return the rungs of a trial's bracket, the latest first."""
    bracket = asha._trial_info[trial_id]
    return [Rung(epoch, values, bracket) for epoch, values in bracket._rungs]


def median_comparison(rule: Any, trial: Any, epoch: int) -> tuple[float, list[float]]:
    """Return what Ray's median rule compares after an epoch: the trial's best value, and the
    running means of the others.
    """
    others = [other for other in rule._trials_beyond_time(epoch) if other != trial]
    return float(rule._best_result(trial)), [float(rule._running_mean(o, epoch)) for o in others]
