"""Settings of a search that contradict one another."""

from __future__ import annotations

from handsigns.config.hyperparameters import CROSS_ENTROPY, CUSTOM_PREFIX
from handsigns.config.parameters import MAX_LISTED_VALUES, Choice
from handsigns.config.search import SearchConfig
from handsigns.config.sections import MAX_TRIALS


def space_key_path(name: str) -> tuple[str, ...]:
    """Return the path of a hyperparameter's key in a search-space file."""
    return ("space", *name.split(".", 1))


Conflict = tuple[tuple[str, ...], str]
"""Path of a key, and the problem with its remedy."""


def conflicts(config: SearchConfig) -> list[Conflict]:
    """Return the settings that contradict each other."""
    found: list[Conflict] = []
    searcher = config.searcher
    found += _scheduler_conflicts(config)
    if searcher.startup_trials and searcher.name in ("random", "grid", "qmc"):
        found.append(
            (("searcher", "startup_trials"), f"{searcher.name} has no startup trials; omit it")
        )
    found += _searcher_conflicts(config)
    if any(name.startswith(CUSTOM_PREFIX) for name in config.space) and not config.user_functions:
        message = "nothing uses them: neither architecture nor loss is a user function"
        found.append((("space", "custom"), f"{message} (module:function)"))
    return found + _class_weight_conflicts(config)


def _class_weight_conflicts(config: SearchConfig) -> list[Conflict]:
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
    return [(("space", "class_weights"), f"{message}; {remedy}")]


def _scheduler_conflicts(config: SearchConfig) -> list[Conflict]:
    found: list[Conflict] = []
    scheduler = config.scheduler
    if scheduler.name == "none" and scheduler.grace_period is not None:
        found.append((("scheduler", "grace_period"), "scheduler none stops no trial; omit it"))
    if not scheduler.has_rungs and scheduler.reduction_factor is not None:
        found.append((("scheduler", "reduction_factor"), f"{scheduler.name} has no rungs; omit it"))
    if scheduler.grace_period is not None and scheduler.grace_period > config.budget.max_epochs:
        found.append(
            (
                ("scheduler", "grace_period"),
                f"{scheduler.grace_period} is above budget.max_epochs, which is "
                f"{config.budget.max_epochs}; no trial could be paused or stopped early; lower it",
            )
        )
    return found


def _searcher_conflicts(config: SearchConfig) -> list[Conflict]:
    found: list[Conflict] = []
    name, trials = config.searcher.name, config.budget.trials
    if name == "grid" and trials > MAX_TRIALS:  # by default they are all configurations
        remedy = f"of which at most {MAX_TRIALS} are tried; set trials, or coarser steps"
        found.append((("budget", "trials"), f"the grid has {trials} configurations, {remedy}"))
    for key, parameter in config.space.items():
        if name == "grid" and parameter.values() is None:
            found.append(
                (
                    space_key_path(key),
                    f"a grid needs discrete values, at most {MAX_LISTED_VALUES}, and this range "
                    f"has more; use type choice, give a larger step, or use another searcher",
                )
            )
        if name == "cmaes" and isinstance(parameter, Choice):
            found.append((space_key_path(key), "cmaes cannot search a choice; use searcher tpe"))
        if name in ("cmaes", "gp", "qmc") and parameter.when:
            found.append(
                (
                    space_key_path(key),
                    f"{name} cannot search a conditional parameter; use searcher tpe",
                )
            )
    if name == "grid" and not found and config.space.size() is None:
        message = "its conditions depend on too many combinations of values to count them"
        found.append((("space",), f"{message}; remove some, or use another searcher"))
    return found
