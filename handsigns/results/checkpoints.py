"""The checkpoints of a search's trials: for each the latest, and on a disk the one before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handsigns.config.search import StudyConfig
from handsigns.io.storage import FolderStorage, Storage, open_storage
from handsigns.results.paths import SearchPaths


@dataclass(frozen=True)
class Checkpoints:
    """Where every node of a search keeps them.

    Attributes:
        place: reachable from every node.
    """

    place: Storage

    def save(self, trial_id: str, data: bytes) -> None:
        """Write a trial's latest; OSError where that cannot be done."""
        latest, previous = checkpoint_names(trial_id)
        self.place.write(latest, data, keep=previous)

    def of(self, trial_id: str) -> Iterator[tuple[str, bytes]]:
        """Name and content of those that there are, the latest first."""
        for name in checkpoint_names(trial_id):
            try:
                yield f"{self.place}/{name}", self.place.read(name)
            except FileNotFoundError:
                continue

    def remove(self, trial_id: str) -> None:
        """Remove a trial's."""
        latest, previous = checkpoint_names(trial_id)
        self.place.remove(latest)
        if self.place.on_disk:
            self.place.remove(previous)

    def remove_previous(self, trial_id: str) -> None:
        """Remove the one before the latest, which is kept on a disk alone."""
        if self.place.on_disk:
            self.place.remove(checkpoint_names(trial_id)[1])


def checkpoints_of(study: StudyConfig, paths: SearchPaths) -> Checkpoints:
    """Those of a search: in its storage where it has one, else in its folder."""
    if study.storage is None:
        return Checkpoints(FolderStorage(paths.checkpoints.resolve()))
    inside = paths.checkpoints.relative_to(paths.whole.root.parent)
    return Checkpoints(open_storage(study.storage).under(inside.as_posix()))


def checkpoint_names(trial_id: str) -> tuple[str, str]:
    """File names of a trial's latest checkpoint and the one before."""
    return f"{trial_id}.safetensors", f"{trial_id}.previous.safetensors"
