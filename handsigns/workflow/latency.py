"""Latency of the networks of a search space, on this machine or on another device."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from handsigns.errors import ConfigError, ResultsError
from handsigns.io.atomic import staged_folder
from handsigns.workflow.data import open_data
from handsigns.workflow.export import ensure_new_file
from handsigns.workflow.networks import (
    NetworkProfiler,
    distinct_networks,
    export_networks,
    measure_networks,
)
from handsigns.workflow.new_search import NewSearchRequest, load_space
from handsigns.workflow.user_code import load_user_code_for_space

if TYPE_CHECKING:
    from handsigns.config.hyperparameters import TrialConfig
    from handsigns.config.user_code import UserCode
    from handsigns.results.networks import LatencyTable, Network


def measure_space(request: NewSearchRequest, out: Path) -> LatencyTable:
    """Measure the latency of a space's networks on this machine, showing progress.

    Args:
        request: the search whose space, images and user code give the networks.
        out: table to write.

    Raises:
        ConfigError: the space is invalid, has no or too many networks within its limits, or its
            user code is not trusted.
        DataError: the images cannot be used.
        ResultsError: the table exists, its folder does not, the packages for ONNX are missing, or
            ONNX has no equivalent of a network.
    """
    ensure_new_file(out)
    networks, user_code = _networks(request)
    return measure_networks(networks, user_code, out)


def export_space(request: NewSearchRequest, folder: Path) -> int:
    """Export a space's networks, untrained, with a script that measures them on another device.

    Args:
        request: see `measure_space`.
        folder: folder to create, of which nothing is left after a failure, or an empty one.

    Returns:
        The number of networks.

    Raises:
        ConfigError, DataError: see `measure_space`.
        ResultsError: the folder is not empty; otherwise see `measure_space`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ResultsError(f"{folder} exists and is not an empty folder; choose another (--export)")
    networks, user_code = _networks(request)
    if folder.exists():  # which may be a mount point, or the current folder
        export_networks(folder, networks, user_code)
    else:
        with staged_folder(folder.resolve()) as staging:
            export_networks(staging, networks, user_code)
    return len(networks)


def _networks(request: NewSearchRequest) -> tuple[dict[Network, TrialConfig], UserCode | None]:
    config, space = load_space(request)

    from handsigns.policy.limited_space import sample_space
    from handsigns.winner.onnx_graph import check_extra

    user_code = load_user_code_for_space(config, space, allowed=request.trust_user_code)
    data = open_data(request.data, request.size, request.skip_bad, config.data.group_by)
    profiler = NetworkProfiler(data.info, user_code)
    networks = distinct_networks(config, profiler, sample_space(config))
    if not networks:
        raise ConfigError("no network of the space is within its limits; raise them (limits:)")
    check_extra()
    return networks, user_code
