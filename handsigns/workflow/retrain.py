"""Retraining of the best configuration on the training and validation splits combined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handsigns.console.format import pluralize
from handsigns.console.progress import progress
from handsigns.errors import ConfigError
from handsigns.workflow.data import InputOptions, open_verified_data
from handsigns.workflow.networks import NetworkProfiler
from handsigns.workflow.sync import exclusive_access
from handsigns.workflow.trackers import publish_winner
from handsigns.workflow.trials import RunOptions
from handsigns.workflow.user_code import load_user_code_for_trial

if TYPE_CHECKING:
    from handsigns.results.store import StoredSearch
    from handsigns.results.trial import TrialRecord
    from handsigns.results.winner import ModelCard, SeedRun, SelectionMethod


@dataclass(frozen=True)
class RetrainRequest:
    """Request to retrain a trial's configuration with fresh seeds.

    Attributes:
        inputs: data and user code of the search.
        seeds: number of models to train.
        ensemble: whether to keep all models, as one that averages their probabilities.
        trial: trial ID; None: the best, after a re-evaluation the best of that.
        smallest_within: accuracy in [0, 1] that the smallest network may be worse, which is trained
            in place of the best; see `results.smallest`.

    Raises:
        ConfigError: the number of models is out of bounds.
    """

    inputs: InputOptions
    seeds: int
    ensemble: bool = False
    trial: str | None = None
    smallest_within: float | None = None

    def __post_init__(self) -> None:
        from handsigns.config.sections import MAX_SEEDS

        if not 1 <= self.seeds <= MAX_SEEDS:
            raise ConfigError(f"--seeds: {self.seeds} is not between 1 and {MAX_SEEDS}")

    def arguments(self, address: str | None) -> tuple[str, ...]:
        """Return the arguments of the command, after the name of the search."""
        return (
            *(() if self.trial is None else ("--trial", self.trial)),
            *self._margin_arguments,
            *("--seeds", str(self.seeds)),
            *(("--ensemble",) if self.ensemble else ()),
            *(() if address is None else ("--address", address)),
            *self.inputs.arguments,
        )

    @property
    def _margin_arguments(self) -> tuple[str, ...]:
        if self.smallest_within is None:
            return ()
        return ("--smallest-within", f"{100 * self.smallest_within:g}%")


def retrain(
    search: StoredSearch, request: RetrainRequest, options: RunOptions
) -> tuple[ModelCard, list[SeedRun]]:
    """Retrain a trial's configuration with fresh seeds, showing progress; save the winner.

    Finished runs of an interrupted retraining are kept, the others resumed.

    Args:
        search: the search.
        request: what to train.
        options: where to run.

    Raises:
        ConfigError: both a trial and a margin are given, or the margin is invalid.
        ResultsError: there is no such trial, a run failed, every seed diverged, or the search is
            running.
        DataError: the data have changed.
        ResourceError: see `SearchSession.run`.
        KeyboardInterrupt: it was interrupted; the message says how to resume it.
    """
    from handsigns.results.retraining import RetrainingPaths, RetrainingPlan
    from handsigns.tuning.retraining import discard_runs
    from handsigns.tuning.retraining import retrain as train

    record, note = _choose(search, request)
    user_code = load_user_code_for_trial(search, record, allowed=request.inputs.trust_user_code)
    data = open_verified_data(search, request.inputs.data)
    plan = RetrainingPlan(
        record, search.config.seed, request.seeds, search.config.budget.max_epochs
    )
    paths = RetrainingPaths.of_trial(
        search.paths, record.trial_id, request.arguments(options.address)
    )
    if note:
        print(f"\nsmallest: {note}", flush=True)
    print(
        f"\nretraining trial {record.trial_id} on training and validation split, with "
        f"{pluralize(request.seeds, 'fresh seed')}",
        flush=True,
    )
    with exclusive_access(search.paths):
        try:
            result = train(
                search,
                data,
                plan,
                paths,
                address=options.address,
                user_code=user_code,
                exit_on_second_interrupt=options.exit_on_second_interrupt,
            )
            if result.interrupted:
                raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            message = f"interrupted; resume with: {paths.resume_command}"
            raise KeyboardInterrupt(message) from error

        from handsigns.winner.write import write_winner

        with progress("evaluating the retrained models") as report:
            card, runs = write_winner(
                search,
                data,
                paths,
                result.runs,
                seconds=result.seconds,
                selected_by=_selection_method(search, request),
                selection_note=note,
                ensemble=request.ensemble,
                progress=report,
                user_code=user_code,
            )
        discard_runs(search, paths)
    publish_winner(search)
    return card, runs


def _choose(search: StoredSearch, request: RetrainRequest) -> tuple[TrialRecord, str]:
    """Return the trial to train; and, of the smallest, how it compares with the winner.

    Raises:
        ConfigError: both a trial and a margin are given, or the margin is invalid.
        ResultsError: there is no such trial, or user code is not trusted.
    """
    margin = request.smallest_within
    if margin is None:
        return search.trial(request.trial), ""
    if request.trial is not None:
        raise ConfigError("--trial and --smallest-within both choose a trial; give one of them")
    if not 0 <= margin < 1:
        raise ConfigError(f"--smallest-within: {margin:g} is not a fraction in [0, 1)")

    from handsigns.results.smallest import smallest_within

    builtin = NetworkProfiler(search.data.info)

    def count_parameters(record: TrialRecord) -> int:
        if record.network is not None:  # a search with limits has recorded it
            return record.network.parameters
        user_code = load_user_code_for_trial(search, record, allowed=request.inputs.trust_user_code)
        # Each trial has its own version of user code, and so its own sizes.
        profiler = NetworkProfiler(search.data.info, user_code) if user_code else builtin
        return profiler(record.config).parameters

    choice = smallest_within(search, margin, count_parameters)
    return choice.record, choice.describe()


def _selection_method(search: StoredSearch, request: RetrainRequest) -> SelectionMethod:
    if request.smallest_within is not None:
        return "smallest"
    if request.trial is not None:
        return "user"
    reevaluated = any(finalist.all_completed for finalist in search.reevaluated_trials)
    return "re-evaluation" if reevaluated else "rank"
