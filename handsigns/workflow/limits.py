"""Limits on the network: which part of a search space is within them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.format import format_bytes, pluralize
from handsigns.console.progress import progress
from handsigns.console.sanitize import note as print_note
from handsigns.console.sanitize import printable
from handsigns.errors import ConfigError

if TYPE_CHECKING:
    from handsigns.config.hyperparameters import TrialConfig
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.splits import DataInfo
    from handsigns.policy.limited_space import LimitedSpace
    from handsigns.results.networks import LatencyTable, Network, NetworkProfile

MAX_NETWORKS = 64
"""Number of networks whose latency is measured; each takes some seconds."""


@dataclass
class NetworkProfiler:
    """Callable that returns the size of a configuration's network, and its latency if measured.

    Args:
        info: metadata of the data set, which gives image size and classes.
        user_code: trusted user code of the networks.
        latencies: measured latencies.
    """

    info: DataInfo
    user_code: UserCode | None = None
    latencies: LatencyTable = field(default_factory=dict)
    _sizes: dict[Network, tuple[int, int]] = field(default_factory=dict)

    def network(self, config: TrialConfig) -> Network:
        """Return the network of a configuration."""
        from handsigns.results.networks import Network

        return Network.of(config, self.info.size, len(self.info.classes))

    def __call__(self, config: TrialConfig) -> NetworkProfile:
        """Return the profile of a configuration's network.

        Raises:
            ConfigError: the network cannot be built.
        """
        from handsigns.models.size import count_parameters
        from handsigns.results.networks import NetworkProfile

        network = self.network(config)
        if network not in self._sizes:
            self._sizes[network] = count_parameters(
                config, network.classes, network.image_size, self.user_code
            )
        return NetworkProfile(*self._sizes[network], self.latencies.get(network))


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
        raise ConfigError(_nothing_left(config, space, map(profiler, _configs(sample))))
    return space, profiler.latencies


def print_limits(config: SearchConfig, space: LimitedSpace) -> None:
    """Print which share of the space is within the limits, and where the recipe was moved."""
    what = "configurations" if _is_complete(config, space) else "sampled configurations"
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


def export_networks(
    folder: Path, networks: Mapping[Network, TrialConfig], user_code: UserCode | None
) -> None:
    """Write untrained networks as ONNX graphs, with their list and a script that measures them.

    Args:
        folder: empty folder.
        networks: a configuration of each network.
        user_code: trusted user code of the networks.

    Raises:
        ResultsError: the packages for ONNX are missing, or ONNX has no equivalent of a network.
    """
    from handsigns import latency
    from handsigns.io.atomic import write_text
    from handsigns.results.networks import to_csv
    from handsigns.winner.export import write_untrained
    from handsigns.winner.onnx_graph import check_extra

    check_extra("remove limits.latency_ms")
    rows = []
    with progress("exporting networks") as report:
        for number, (network, config) in enumerate(networks.items()):
            name = f"network{number:03d}.onnx"
            write_untrained(config, network.classes, network.image_size, user_code, folder / name)
            rows.append({"file": name} | network.to_row())
            report(number + 1, len(networks))
    write_text(folder / latency.NETWORKS_FILE, to_csv(rows))
    shutil.copyfile(latency.__file__, folder / "measure.py")


def measure_networks(
    networks: Mapping[Network, TrialConfig], user_code: UserCode | None, out: Path | None = None
) -> LatencyTable:
    """Export untrained networks and measure their latency on this machine, showing progress.

    Args:
        networks: a configuration of each network.
        user_code: trusted user code of the networks.
        out: table to write; None: none.

    Raises:
        ResultsError: see `export_networks`.
    """
    from handsigns.latency import measure_folder
    from handsigns.results.networks import read_latency_table

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        export_networks(folder, networks, user_code)
        table = out or folder / "device.csv"
        with progress("measuring the latency of networks") as report:
            measure_folder(folder, table, report)
        return read_latency_table(table)


def distinct_networks(
    config: SearchConfig, profiler: NetworkProfiler, sample: Iterable[Mapping[str, object]]
) -> dict[Network, TrialConfig]:
    """Return the networks of configurations that exceed no limit but, perhaps, that of latency.

    Raises:
        ConfigError: there are more than `MAX_NETWORKS`.
    """
    from handsigns.results.networks import exceeded_limits

    sizes = config.limits.model_copy(update={"latency_ms": None})
    found: dict[Network, TrialConfig] = {}
    for trial_config in _configs(sample):
        if not exceeded_limits(sizes, profiler(trial_config)):
            found.setdefault(profiler.network(trial_config), trial_config)
    if len(found) > MAX_NETWORKS:
        raise ConfigError(
            f"limits.latency_ms: the space has {len(found)} networks, more than {MAX_NETWORKS}, "
            f"each of which would be measured; give space.channel_width a step (step: 4), and "
            f"custom hyperparameters of a network few values, or limit the parameters, too"
        )
    ordered = sorted(found, key=lambda network: (network.architecture, network.channel_width))
    return {network: found[network] for network in ordered}


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
    if config.limits.latency_table is None:
        return {**table, **(measure_networks(missing, profiler.user_code) if missing else {})}
    if missing and (saved is None or not saved.exists()):
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
    remedy = "measure this space with these images: handsigns latency SPACE --export DIR"
    if len(missing) == total:
        raise ConfigError(f"limits.latency_table: {text}; {remedy}")
    print_note(f"{text}; their configurations are not started. To include them, {remedy}")


def _configs(sample: Iterable[Mapping[str, object]]) -> Iterable[TrialConfig]:
    from handsigns.config.hyperparameters import TrialConfig

    return map(TrialConfig.from_params, sample)


def _is_complete(config: SearchConfig, space: LimitedSpace) -> bool:
    return config.space.size() == space.sample_size


def _nothing_left(
    config: SearchConfig, space: LimitedSpace, profiles: Iterable[NetworkProfile]
) -> str:
    what = "" if _is_complete(config, space) else "sampled "
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
