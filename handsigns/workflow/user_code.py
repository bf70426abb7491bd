"""User code: what the user trusts to be run, and from where."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.config.user_code import (
    OwnCode,
    OwnModule,
    find_file,
    module_names,
    not_allowed,
    own_functions,
    read_kept,
    read_module,
    recorded_digest,
    recorded_file,
)
from handsigns.console.progress import progress
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.json_file import damaged, read_json

if TYPE_CHECKING:
    from handsigns.config.search import StudyConfig
    from handsigns.data.dataset import DataSet
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord


def user_code_of_space(study: StudyConfig, space: Path, *, allowed: bool) -> OwnCode | None:
    """The modules that a search space names, from beside it or the current folder, or installed.

    Returns:
        None where it names none.

    Raises:
        ConfigError: they may not be run, or one is nowhere.
    """
    names = module_names(study.own_functions)
    if not names:
        return None
    folders = [space.parent, Path()]
    if not allowed:
        files = [find_file(name, folders) or f"an installed module {name}" for name in names]
        raise ConfigError(not_allowed(study.own_functions, list(map(str, files))))

    from handsigns.models.user_loader import find_own_code

    return find_own_code(names, folders)


def user_code_to_resume(stored: StoredSearch, *, allowed: bool) -> OwnCode | None:
    """The modules of a search that is resumed: the user's files as they are now, where they still
    are, else what was kept.

    Raises:
        ResultsError: they may not be run, or the code is missing or damaged.
    """
    functions = stored.study.own_functions
    if not functions:
        return None
    described = _latest(stored)
    files = {name: _present(described, name) for name in module_names(functions)}
    if not allowed and any(files.values()):
        kept = stored.paths.own_code
        places = [str(file or kept / f"{name}-….py") for name, file in files.items()]
        raise ResultsError(not_allowed(functions, places))
    own = read_kept(stored.paths.own_code, functions, described, allowed=allowed)
    assert own is not None
    return OwnCode({name: _now(own.modules[name], file) for name, file in files.items()})


def user_code_of_trial(
    stored: StoredSearch,
    record: TrialRecord,
    journal: Journal | None = None,
    *,
    allowed: bool,
) -> OwnCode | None:
    """Return the modules that a trial ran, as they were then.

    Args:
        stored: the search.
        record: the trial.
        journal: that holds it; None: the search's own.
        allowed: whether the user trusts them.

    Raises:
        ResultsError: they may not be run, or the code is missing or damaged.
    """
    sessions = [(journal or stored.journal).sessions[number] for number in record.sessions]
    functions = own_functions([record.config.architecture, record.config.loss])
    described = _latest(stored)
    if sessions:
        from handsigns.results.environment import own_code

        described = own_code(sessions[-1].environment)
    return read_kept(stored.paths.own_code, functions, described, allowed=allowed)


def try_user_code(study: StudyConfig, own: OwnCode | None, data: DataSet) -> None:
    """Build the user's networks once, and compute the losses, before anything is searched.

    Raises:
        ConfigError: one fails.
    """
    if own is None:
        return
    with progress("trying your own code") as report:
        report(0, 1)
        from handsigns.training.user_code_check import check_own_code

        check_own_code(study, own, len(data.info.classes), data.info.size)
        report(1, 1)
    files = ", ".join(str(module.file) for module in own.modules.values())
    print(f"your own code, tried once: {', '.join(study.own_functions)} ({files})", flush=True)


def _latest(stored: StoredSearch) -> Any:
    """What the latest session, or the search as it began, tells of the user's own code."""
    from handsigns.results.environment import own_code

    sessions = stored.journal.sessions
    if sessions:
        return own_code(sessions[-1].environment)
    try:
        return own_code(read_json(stored.paths.environment, dict[str, Any]))
    except FileNotFoundError as error:
        raise damaged(stored.paths.environment, error) from error


def _present(described: Any, name: str) -> Path | None:
    """The user's file, if it is still where it was."""
    recorded_digest(described, name)
    file = recorded_file(described, name)
    return file if file is not None and file.suffix == ".py" and file.is_file() else None


def _now(kept: OwnModule, file: Path | None) -> OwnModule:
    return read_module(kept.name, file) if file is not None else kept
