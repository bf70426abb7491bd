"""The processes of trials that ended, which are kept for the next ones."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from ray.tune.execution import tune_controller
from ray.tune.utils.object_cache import _ObjectCache


@contextlib.contextmanager
def kept_for(vacancies: Callable[[], int]) -> Iterator[None]:
    """Have Tune keep as many processes as there are trials to come for them soon.

    Tune itself keeps those that a trial waits for, and one. Where more trials end in the same
    moment it ends their processes, and has others started for the trials that it asks for next,
    which take seconds to load.

    Args:
        vacancies: how many trials may begin now.
    """
    original = tune_controller._ObjectCache
    tune_controller._ObjectCache = functools.partial(_ActorCache, vacancies)
    try:
        yield
    finally:
        tune_controller._ObjectCache = original


class _ActorCache(_ObjectCache):  # type: ignore[misc]
    """Tune's own, in which a trial that is to come counts as one that waits."""

    def __init__(self, vacancies: Callable[[], int], may_keep_one: bool) -> None:
        super().__init__(may_keep_one)
        self._vacancies = vacancies

    def cache_object(self, key: Any, obj: Any) -> bool:
        """Keep a process, if there is a trial for it."""
        with self._expecting([key]):
            return bool(super().cache_object(key, obj))

    def flush_cached_objects(self, force_all: bool = False) -> Iterator[Any]:
        """The processes for which there is none any more."""
        with self._expecting(list(self._cached_objects)):
            yield from super().flush_cached_objects(force_all)

    @contextlib.contextmanager
    def _expecting(self, keys: list[Any]) -> Iterator[None]:
        """All of a search's trials ask for the same resources, which are the key."""
        more = self._vacancies()
        for key in keys:
            self.increase_max(key, more)
        try:
            yield
        finally:
            for key in keys:
                self.decrease_max(key, more)
