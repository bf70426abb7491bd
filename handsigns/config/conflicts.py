"""Settings of a search that contradict one another."""

from __future__ import annotations

from handsigns.config.hyperparameters import CROSS_ENTROPY, CUSTOM_PREFIX
from handsigns.config.parameters import MAX_LISTED_VALUES, Choice
from handsigns.config.problems import Problem
from handsigns.config.search import SearchConfig
from handsigns.config.sections import MAX_TRIALS


def space_key_path(name: str) -> tuple[str, ...]:
    """Return the path of a hyperparameter's key in a search-space file."""
    return ("space", *name.split(".", 1))


def conflicts(config: SearchConfig) -> list[Problem]:
    """Return the settings that contradict each other."""
    found = [*_scheduler_conflicts(config), *_searcher_conflicts(config)]
    if any(name.startswith(CUSTOM_PREFIX) for name in config.space) and not config.user_functions:
        message = "nothing uses them: neither architecture nor loss is a user function"
        found.append(Problem(("space", "custom"), f"{message} (module:function)"))
    return found + _class_weight_conflicts(config)


def _class_weight_conflicts(config: SearchConfig) -> list[Problem]:
    """Return where class weights could be combined with a user-defined loss, which ignores them."""
    weights, loss = config.space.get("class_weights"), config.space.get("loss")
    if weights is None or loss is None or "balanced" not in (weights.values() or ()):
        return []
    losses = (weights.when or {}).get("loss", loss.values() or ())
    user_losses = [str(value) for value in losses if value != CROSS_ENTROPY]
    if not user_losses:
        return []
    message = f"balanced weighs the classes in cross-entropy, but not in {', '.join(user_losses)}"
    remedy = (
        "add when: {loss: cross_entropy}" if CROSS_ENTROPY in (loss.values() or ()) else "omit it"
    )
    return [Problem(("space", "class_weights"), f"{message}; {remedy}")]


def _scheduler_conflicts(config: SearchConfig) -> list[Problem]:
    found: list[Problem] = []
    scheduler = config.scheduler
    grace_period = ("scheduler", "grace_period")
    if scheduler.name == "none" and scheduler.grace_period is not None:
        found.append(Problem(grace_period, "scheduler none stops no trial; omit it"))
    if not scheduler.has_rungs and scheduler.reduction_factor is not None:
        path = ("scheduler", "reduction_factor")
        found.append(Problem(path, f"{scheduler.name} has no rungs; omit it"))
    if scheduler.grace_period is not None and scheduler.grace_period > config.budget.max_epochs:
        found.append(
            Problem(
                grace_period,
                f"{scheduler.grace_period} is above budget.max_epochs, which is "
                f"{config.budget.max_epochs}; no trial could be paused or stopped early; lower it",
            )
        )
    return found


def _searcher_conflicts(config: SearchConfig) -> list[Problem]:
    found: list[Problem] = []
    name, trials = config.searcher.name, config.budget.trials
    if config.searcher.startup_trials and not config.searcher.uses_results:
        path = ("searcher", "startup_trials")
        found.append(Problem(path, f"{name} has no startup trials; omit it"))
    if name == "grid" and trials > MAX_TRIALS:  # by default they are all configurations
        message = f"the grid has {trials} configurations, of which at most {MAX_TRIALS} are tried"
        found.append(Problem(("budget", "trials"), f"{message}; set trials, or coarser steps"))
    for key, parameter in config.space.items():
        if name == "grid" and parameter.values() is None:
            found.append(
                Problem(
                    space_key_path(key),
                    f"a grid needs discrete values, at most {MAX_LISTED_VALUES}, and this range "
                    f"has more; use type choice, give a larger step, or use another searcher",
                )
            )
        if name == "cmaes" and isinstance(parameter, Choice):
            message = "cmaes cannot search a choice; use searcher tpe"
            found.append(Problem(space_key_path(key), message))
        if name in ("cmaes", "gp", "qmc") and parameter.when:
            message = f"{name} cannot search a conditional parameter; use searcher tpe"
            found.append(Problem(space_key_path(key), message))
    if name == "grid" and not found and config.space.size() is None:
        message = "its conditions depend on too many combinations of values to count them"
        found.append(Problem(("space",), f"{message}; remove some, or use another searcher"))
    return found
