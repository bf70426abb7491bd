"""Loading of user code: which modules may be run, and from where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handsigns.config.user_code import (
    UserCode,
    UserModule,
    find_module_file,
    load_saved_user_code,
    module_names,
    not_trusted_message,
    read_module,
    recorded_digest,
    recorded_file,
    user_functions,
)
from handsigns.console.progress import progress
from handsigns.errors import ConfigError, ResultsError
from handsigns.io.json_file import corrupt_file_error, read_json

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.data.dataset import DataSet
    from handsigns.results.journal import Journal
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord


def load_user_code_for_space(
    config: SearchConfig, space: Path, *, allowed: bool
) -> UserCode | None:
    """Load the modules that a search space names: from its folder, the current one, or installed.

    Returns:
        The modules; None if it names none.

    Raises:
        ConfigError: they are not trusted, or one was not found.
    """
    names = module_names(config.user_functions)
    if not names:
        return None
    folders = [space.parent, Path()]
    if not allowed:
        files = [find_module_file(name, folders) or f"an installed module {name}" for name in names]
        raise ConfigError(not_trusted_message(config.user_functions, list(map(str, files))))

    from handsigns.models.user_loader import find_user_code

    return find_user_code(names, folders)


def load_user_code_for_resume(stored: StoredSearch, *, allowed: bool) -> UserCode | None:
    """Load the modules of a search to be resumed: the user's files, or the saved copies.

    Raises:
        ResultsError: they are not trusted, or the code is missing or damaged.
    """
    functions = stored.config.user_functions
    if not functions:
        return None
    code_metadata = _recorded_user_code(stored)
    files = {name: _existing_file(code_metadata, name) for name in module_names(functions)}
    if not allowed and any(files.values()):
        saved = stored.paths.user_code
        locations = [str(file or saved / f"{name}-….py") for name, file in files.items()]
        raise ResultsError(not_trusted_message(functions, locations))
    user_code = load_saved_user_code(
        stored.paths.user_code, functions, code_metadata, trusted=allowed
    )
    assert user_code is not None
    return UserCode(
        {name: _current_module(user_code.modules[name], file) for name, file in files.items()}
    )


def load_user_code_for_plan(
    stored: StoredSearch, config: SearchConfig, *, allowed: bool
) -> UserCode | None:
    """Load the saved modules of a search whose networks a planned search may have.

    Raises:
        ResultsError: they are not trusted, or the code is missing or damaged.
    """
    functions = user_functions(config.architectures)
    return load_saved_user_code(
        stored.paths.user_code,
        functions,
        _recorded_user_code(stored) if functions else None,
        trusted=allowed,
    )


def load_user_code_for_trial(
    stored: StoredSearch,
    record: TrialRecord,
    journal: Journal | None = None,
    *,
    allowed: bool,
) -> UserCode | None:
    """Load the modules that a trial ran, as they were then.

    Args:
        stored: the search.
        record: record of the trial.
        journal: journal of the trial; None: the search's.
        allowed: whether the user trusts them.

    Raises:
        ResultsError: they are not trusted, or the code is missing or damaged.
    """
    functions = user_functions([record.config.architecture, record.config.loss])
    code_metadata = _trial_user_code(stored, record, journal)
    return load_saved_user_code(stored.paths.user_code, functions, code_metadata, trusted=allowed)


def load_user_code_for_trials(
    stored: StoredSearch, records: Sequence[TrialRecord], *, allowed: bool
) -> UserCode | None:
    """Load the modules that any of these trials ran, each in one version.

    Raises:
        ResultsError: they are not trusted, or the code is missing or damaged.
    """
    modules: dict[str, UserModule] = {}
    for record in records:
        user_code = load_user_code_for_trial(stored, record, allowed=allowed)
        modules |= user_code.modules if user_code else {}
    return UserCode(modules) if modules else None


def select_by_user_code(
    stored: StoredSearch, records: Sequence[TrialRecord]
) -> tuple[list[TrialRecord], list[TrialRecord]]:
    """Split trials into those that can run in one session, and those of other versions of modules.

    Args:
        stored: the search.
        records: trials; the versions of the first ones count.

    Raises:
        ResultsError: it is not recorded which version a trial ran.
    """
    versions: dict[str, str] = {}
    selected, others = [], []
    for record in records:
        names = module_names(user_functions([record.config.architecture, record.config.loss]))
        code_metadata = _trial_user_code(stored, record) if names else None
        own = {name: recorded_digest(code_metadata, name) for name in names}
        if any(versions.get(name, version) != version for name, version in own.items()):
            others.append(record)
        else:
            versions |= own
            selected.append(record)
    return selected, others


def smoke_test_networks(config: SearchConfig, user_code: UserCode | None, data: DataSet) -> None:
    """Build torchvision's and the user's networks once, and compute the losses, before the search.

    Raises:
        ConfigError: one of them fails.
    """
    if config.torchvision_networks:
        with progress("checking torchvision's networks") as report:
            report(0, 1)
            from handsigns.training.torchvision_check import check_torchvision

            check_torchvision(config, len(data.info.classes), data.info.size)
            report(1, 1)
    if user_code is None:
        return
    with progress("checking user code") as report:
        report(0, 1)
        from handsigns.training.user_code_check import check_user_code

        check_user_code(config, user_code, len(data.info.classes), data.info.size)
        report(1, 1)
    files = ", ".join(str(module.file) for module in user_code.modules.values())
    print(f"user code checked: {', '.join(config.user_functions)} ({files})", flush=True)


def _recorded_user_code(stored: StoredSearch) -> Any:
    """Return the user-code metadata of the latest session, or of the start of the search."""
    from handsigns.results.environment import recorded_user_code

    sessions = stored.journal.sessions
    if sessions:
        return recorded_user_code(sessions[-1].environment)
    try:
        return recorded_user_code(read_json(stored.paths.environment, dict[str, Any]))
    except FileNotFoundError as error:
        raise corrupt_file_error(stored.paths.environment, error) from error


def _trial_user_code(
    stored: StoredSearch, record: TrialRecord, journal: Journal | None = None
) -> Any:
    """Return the user-code metadata of the latest session of a trial; see `_recorded_user_code`."""
    if not record.sessions:
        return _recorded_user_code(stored)

    from handsigns.results.environment import recorded_user_code

    session = (journal or stored.journal).sessions[record.sessions[-1]]
    return recorded_user_code(session.environment)


def _existing_file(code_metadata: Any, name: str) -> Path | None:
    """Return the user's file if it still exists."""
    recorded_digest(code_metadata, name)
    file = recorded_file(code_metadata, name)
    return file if file is not None and file.suffix == ".py" and file.is_file() else None


def _current_module(saved: UserModule, file: Path | None) -> UserModule:
    return read_module(saved.name, file) if file is not None else saved
