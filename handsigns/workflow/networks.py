"""Networks of a search space: their sizes, export, and latency on this machine."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.console.progress import progress
from handsigns.errors import ConfigError

if TYPE_CHECKING:
    from handsigns.config.hyperparameters import TrialConfig
    from handsigns.config.search import SearchConfig
    from handsigns.config.user_code import UserCode
    from handsigns.data.splits import DataInfo
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


def export_networks(
    folder: Path, networks: Mapping[Network, TrialConfig], user_code: UserCode | None
) -> None:
    """Write untrained networks as ONNX graphs, with their list and a script that measures them.

    Args:
        folder: empty folder.
        networks: a configuration of each network.
        user_code: trusted user code of the networks.

    Raises:
        ConfigError: there are more than `MAX_NETWORKS`.
        ResultsError: ONNX has no equivalent of a network.
    """
    from handsigns import latency
    from handsigns.io.atomic import write_text
    from handsigns.results.networks import to_csv
    from handsigns.winner.export import write_untrained

    if len(networks) > MAX_NETWORKS:
        raise ConfigError(
            f"the space has {len(networks)} networks, more than {MAX_NETWORKS}, whose latency "
            f"would be measured; give space.channel_width a step (step: 4), and custom "
            f"hyperparameters of a network few values, or limit the parameters (limits.parameters)"
        )
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
        ConfigError, ResultsError: see `export_networks`.
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
    """Return the networks of configurations that exceed no limit but, perhaps, that of latency."""
    from handsigns.results.networks import exceeded_limits

    sizes = config.limits.model_copy(update={"latency_ms": None})
    found: dict[Network, TrialConfig] = {}
    for trial_config in trial_configs(sample):
        if not exceeded_limits(sizes, profiler(trial_config)):
            found.setdefault(profiler.network(trial_config), trial_config)
    ordered = sorted(found, key=lambda network: (network.architecture, network.channel_width))
    return {network: found[network] for network in ordered}


def trial_configs(sample: Iterable[Mapping[str, object]]) -> Iterable[TrialConfig]:
    """Yield the configurations with these parameters."""
    from handsigns.config.hyperparameters import TrialConfig

    return map(TrialConfig.from_params, sample)
