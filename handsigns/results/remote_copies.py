"""Copies of a search in shared storage: configured or recorded, and which machine writes."""

from __future__ import annotations

import time

from handsigns.config.search import SearchConfig
from handsigns.console.sanitize import printable
from handsigns.errors import ConfigError
from handsigns.host import is_local_process
from handsigns.io.storage import FolderStorage, Storage, open_storage
from handsigns.results.paths import SearchPaths
from handsigns.results.sync import LEASE_S, RemoteCopy
from handsigns.results.sync_manifest import parse_manifest


def configured_copy(search_config: SearchConfig, paths: SearchPaths) -> RemoteCopy | None:
    """Return the copy in the configured storage; None if none is needed."""
    if search_config.storage is None:
        return None
    return copy_in_storage(paths.root_search, search_config.storage)


def recorded_copy(paths: SearchPaths) -> RemoteCopy | None:
    """Return the copy with which a search's folder was last synced; None if there is none."""
    try:
        storage = parse_manifest(paths.sync_state.read_bytes()).storage
    except (OSError, ValueError):
        return None
    return _remote_copy(paths, open_storage(storage))


def running_elsewhere(paths: SearchPaths) -> str:
    """Return which other machine runs a search, as of the last sync; empty if none."""
    try:
        manifest = parse_manifest(paths.sync_state.read_bytes())
        # By this machine's clock, not the other's.
        recent = time.time() - paths.sync_state.stat().st_mtime < LEASE_S
    except (OSError, ValueError):
        return ""
    return (
        printable(manifest.written_by)
        if manifest.running and recent and not is_local_process(manifest.written_by)
        else ""
    )


def copy_in_storage(paths: SearchPaths, storage: str) -> RemoteCopy | None:
    """Return the copy in the given storage; None if that is the search's own folder.

    Raises:
        ConfigError: the storage is invalid, or inside that folder, which would contain its copy.
    """
    copy = open_storage(storage).joinpath(paths.name)
    if isinstance(copy, FolderStorage) and paths.root.resolve() in copy.path.resolve().parents:
        raise ConfigError(
            f"the storage {storage} is in the search's own folder {paths.root}; choose a folder "
            f"outside of it"
        )
    return _remote_copy(paths, copy)


def _remote_copy(paths: SearchPaths, storage: Storage) -> RemoteCopy | None:
    if isinstance(storage, FolderStorage) and storage.path.resolve() == paths.root.resolve():
        return None
    return RemoteCopy(paths, storage)
