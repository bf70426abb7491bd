"""Checkpoints of a search's trials: the latest of each and, on a file system, the previous one.

Beside them are the predictions of completed trials, which are kept (results/predictions.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handsigns.config.search import SearchConfig
from handsigns.io.storage import FolderStorage, Storage, open_storage
from handsigns.results.paths import SearchPaths

_SUFFIX, _PREVIOUS = ".safetensors", ".previous"


@dataclass(frozen=True)
class CheckpointStore:
    """Checkpoint store shared by all nodes of a search.

    Attributes:
        storage: location that every node can reach.
    """

    storage: Storage

    def save(self, trial_id: str, data: bytes) -> None:
        """Write a trial's latest checkpoint.

        Raises:
            OSError: the storage cannot be written.
        """
        latest, previous = checkpoint_names(trial_id)
        self.storage.write(latest, data, backup=previous)

    def load_all(self, trial_id: str) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of a trial's checkpoints, latest first."""
        for name in checkpoint_names(trial_id):
            try:
                yield f"{self.storage}/{name}", self.storage.read(name)
            except FileNotFoundError:
                continue

    def trial_ids(self) -> set[str]:
        """Return the IDs of the trials that have checkpoints.

        Raises:
            OSError: the storage cannot be read.
        """
        return {
            name.removesuffix(_SUFFIX).removesuffix(_PREVIOUS)
            for name in self.storage.names()
            if name.endswith(_SUFFIX)
        }

    def save_predictions(self, trial_id: str, data: bytes) -> None:
        """Write the predictions of a completed trial.

        Raises:
            OSError: the storage cannot be written.
        """
        self.storage.write(_predictions_name(trial_id), data)

    def load_predictions(self, trial_id: str) -> bytes | None:
        """Return the predictions of a trial; None if there are none.

        Raises:
            OSError: the storage cannot be read.
        """
        try:
            return self.storage.read(_predictions_name(trial_id))
        except FileNotFoundError:
            return None

    def remove(self, trial_id: str) -> None:
        """Remove a trial's checkpoints."""
        latest, previous = checkpoint_names(trial_id)
        self.storage.remove(latest)
        if self.storage.is_filesystem:
            self.storage.remove(previous)

    def remove_previous(self, trial_id: str) -> None:
        """Remove a trial's previous checkpoint, which only a file system keeps."""
        if self.storage.is_filesystem:
            self.storage.remove(checkpoint_names(trial_id)[1])


def checkpoint_store(search_config: SearchConfig, paths: SearchPaths) -> CheckpointStore:
    """Return the store of a search: in its storage if it has one, else in its folder."""
    if search_config.storage is None:
        return CheckpointStore(FolderStorage(paths.checkpoints.resolve()))
    relative = paths.checkpoints.relative_to(paths.root_search.root.parent)
    return CheckpointStore(open_storage(search_config.storage).joinpath(relative.as_posix()))


def checkpoint_names(trial_id: str) -> tuple[str, str]:
    """Return the file names of a trial's latest and previous checkpoint."""
    return f"{trial_id}{_SUFFIX}", f"{trial_id}{_PREVIOUS}{_SUFFIX}"


def _predictions_name(trial_id: str) -> str:
    return f"predictions/{trial_id}{_SUFFIX}"
