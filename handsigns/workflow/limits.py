"""Limits on the network: which part of a search space is within them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_bytes, pluralize
from handsigns.console.program import command
from handsigns.console.sanitize import note as print_note
from handsigns.console.sanitize import printable
from handsigns.errors import ConfigError
from handsigns.workflow.networks import (
    NetworkProfiler,
    distinct_networks,
    measure_networks,
    trial_configs,
)

if TYPE_CHECKING:
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.splits import DataInfo
    from handsigns.policy.limited_space import LimitedSpace
    from handsigns.results.networks import LatencyTable, Network, NetworkProfile


def limit_space(
    config: SearchConfig, info: DataInfo, user_code: UserCode | None, saved: Path | None = None
) -> tuple[LimitedSpace, LatencyTable] | None:
    """Return the part of a search space within its limits; None without limits.

    Latencies that are limited, and not in a table, are measured on this machine, showing progress.

    Args:
        config: resolved configuration of the search.
        info: metadata of its data.
        user_code: its trusted user code.
        saved: table of the latencies with which the search started, if it exists.

    Returns:
        The part of the space, and the latencies, which a resumed search needs again.

    Raises:
        ConfigError: no configuration is within the limits, there are too many networks to measure,
            or the table of latencies is missing or invalid.
        ResultsError: the packages for ONNX are missing, or ONNX has no equivalent of a network.
    """
    if not config.limits.enabled:
        return None

    from handsigns.policy.limited_space import LimitedSpace, sample_space

    sample = sample_space(config)
    profiler = NetworkProfiler(info, user_code)
    if config.limits.latency_ms is not None:
        profiler.latencies = _latencies(config, profiler, sample, saved)
    space = LimitedSpace(config, sample, profiler)
    if not space.share:
        raise ConfigError(_nothing_left(space, map(profiler, trial_configs(sample))))
    return space, profiler.latencies


def print_limits(config: SearchConfig, space: LimitedSpace) -> None:
    """Print which share of the space is within the limits, and where the recipe was moved."""
    what = "configurations" if space.is_complete else "sampled configurations"
    text = f"limits: {space.share:.0%} of {space.sample_size} {what} are within them"
    if space.exceeded:
        ((name, count),) = space.exceeded.most_common(1)
        text += f"; {name} excludes most ({count / space.sample_size:.0%})"
    print(text, flush=True)
    baseline = config.baseline_params()
    if baseline is None:
        return
    nearest = space.nearest(baseline)
    if nearest is None:
        print_note("no configuration close to the recommended recipe is within the limits")
    elif nearest != baseline:
        moved = ", ".join(
            f"{name} {value} instead of {baseline.get(name, 'none')}"
            for name, value in nearest.items()
            if baseline.get(name) != value
        )
        print_note(
            f"the recommended recipe exceeds the limits; the first trial has {printable(moved)}"
        )


def _latencies(
    config: SearchConfig,
    profiler: NetworkProfiler,
    sample: list[dict[str, bool | int | float | str]],
    saved: Path | None,
) -> LatencyTable:
    from handsigns.results.networks import read_latency_table

    networks = distinct_networks(config, profiler, sample)
    if saved is not None and saved.exists():
        table = dict(read_latency_table(saved))
    elif config.limits.latency_table is not None:
        table = dict(read_latency_table(Path(config.limits.latency_table)))
    else:
        table = {}
    missing = {network: one for network, one in networks.items() if network not in table}
    if not missing:
        return table
    if config.limits.latency_table is None:
        from handsigns.winner.onnx_graph import check_extra

        check_extra("remove limits.latency_ms")
        table |= measure_networks(missing, profiler.user_code)
    elif saved is None or not saved.exists():
        _report_missing(config.limits.latency_table, missing, len(networks))
    return table


def _report_missing(table: str, missing: Mapping[Network, object], total: int) -> None:
    """Print how many networks a table lacks.

    Raises:
        ConfigError: it lacks all.
    """
    first = next(iter(missing))
    text = (
        f"{table} lacks {pluralize(len(missing), 'network')} of {total}, such as "
        f"{first.architecture} with channel_width {first.channel_width} for "
        f"{first.classes} classes of {first.image_size}-pixel images"
    )
    export = command("latency", "SPACE", "--data", "DIR", "--export", "NETWORKS")
    remedy = f"measure this space with these images: {export}"
    if len(missing) == total:
        raise ConfigError(f"limits.latency_table: {text}; {remedy}")
    print_note(f"{text}; their configurations are not started. To include them, {remedy}")


def _nothing_left(space: LimitedSpace, profiles: Iterable[NetworkProfile]) -> str:
    what = "" if space.is_complete else "sampled "
    profiles = list(profiles)
    smallest = [f"{min(p.parameters for p in profiles):,} parameters"]
    smallest.append(format_bytes(min(p.model_bytes for p in profiles)))
    times = [p.latency_ms for p in profiles if p.latency_ms is not None]
    smallest += [f"{min(times):.3g} ms"] if times else []
    counts = ", ".join(f"{name} {count}" for name, count in space.exceeded.most_common())
    return (
        f"limits: none of {space.sample_size} {what}configurations is within them (exceeded: "
        f"{counts}). The smallest network has {', '.join(smallest)}: raise the limits, or search "
        f"smaller networks (space.channel_width)"
    )
