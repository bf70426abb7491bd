"""Networks of a search space: what distinguishes them, their size and latency, and the limits.

Many configurations share a network: learning rate or augmentation do not change it.
"""

from __future__ import annotations

import csv
import functools
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from handsigns.config.hyperparameters import CustomHyperparameters, Scalar, TrialConfig
from handsigns.config.sections import Limits
from handsigns.config.user_code import is_user_function
from handsigns.console.program import command
from handsigns.errors import ConfigError
from handsigns.io.atomic import write_text


@dataclass(frozen=True)
class NetworkProfile:
    """Size and speed of a network.

    Attributes:
        parameters: number of parameters.
        model_bytes: predicted size of its float32 ONNX file.
        latency_ms: latency for a single image in milliseconds; None if it was not measured.
    """

    parameters: Annotated[int, Field(ge=0)]
    model_bytes: Annotated[int, Field(ge=0)]
    latency_ms: Annotated[float, Field(gt=0)] | None = None


@dataclass(frozen=True)
class Network:
    """What determines the ONNX graph of a configuration but for its weights.

    Attributes:
        architecture, channel_width: hyperparameters; the width is 0 where it is ignored.
        flip_tta: whether each image is classified twice, once mirrored.
        custom: custom hyperparameters of a user-defined network.
        image_size: height and width of the images in pixels.
        classes: number of classes.
    """

    architecture: str
    channel_width: int
    flip_tta: bool
    custom: CustomHyperparameters
    image_size: int
    classes: int

    @classmethod
    def of(cls, config: TrialConfig, image_size: int, classes: int) -> Network:
        """Return the network of a configuration."""
        return cls(
            config.architecture,
            0 if config.ignores_width else config.channel_width,
            config.flip_tta and config.flip > 0,
            config.custom if is_user_function(config.architecture) else CustomHyperparameters(),
            image_size,
            classes,
        )

    def to_row(self) -> dict[str, str]:
        """Return the fields as text, as `from_row` reads them."""
        fields = asdict(self) | {"custom": json.dumps(dict(self.custom))}
        return {name: str(value) for name, value in fields.items()}

    @classmethod
    def from_row(cls, row: Mapping[str, str]) -> Network:
        """Return the network of a table's row.

        Raises:
            KeyError, ValueError: a column is missing or invalid.
        """
        custom: dict[str, Scalar] = json.loads(row["custom"])
        # A spreadsheet would save it as TRUE.
        flip_tta = {"true": True, "false": False}.get(row["flip_tta"].lower())
        if flip_tta is None:
            raise ValueError(f"flip_tta is {row['flip_tta']}")
        return cls(
            row["architecture"],
            int(row["channel_width"]),
            flip_tta,
            CustomHyperparameters(custom),
            int(row["image_size"]),
            int(row["classes"]),
        )


def exceeded_limits(limits: Limits, profile: NetworkProfile) -> list[str]:
    """Return the names of the limits that a network exceeds.

    A latency that was not measured exceeds the limit: whether it is met is not known.
    """
    found = []
    for name in limits.enabled:
        value = getattr(profile, name)
        if value is None or value > getattr(limits, name):
            found.append(name)
    return found


def network_to_dict(profile: NetworkProfile | None) -> dict[str, Any] | None:
    """Return a profile as plain values."""
    return None if profile is None else asdict(profile)


def network_from_dict(fields: Any) -> NetworkProfile | None:
    """Return the profile of these fields.

    Raises:
        ValueError: a field is missing or invalid.
    """
    return _profile_adapter().validate_python(fields)


@functools.cache
def _profile_adapter() -> TypeAdapter[NetworkProfile | None]:
    # It takes a millisecond to build: ten seconds for a search of 10,000 trials.
    return TypeAdapter(NetworkProfile | None)


LatencyTable = Mapping[Network, float]
"""Median latency in milliseconds by network."""


def read_latency_table(path: Path) -> LatencyTable:
    """Read the table of latencies that `handsigns latency`, or its script on a device, wrote.

    Raises:
        ConfigError: it is missing or invalid; names the line.
    """
    try:
        # With a byte-order mark, if a spreadsheet has saved it.
        text = path.read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"limits.latency_table: {path} cannot be read: {error}") from error
    table = {}
    for number, row in enumerate(rows, 2):
        try:
            latency = float(row["latency_ms"])
            if not 0 < latency < math.inf:
                raise ValueError(f"latency_ms is {row['latency_ms']}")
            table[Network.from_row(row)] = latency
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            problem = f"column {error} is missing" if isinstance(error, KeyError) else error
            again = command("latency", "SPACE", "--data", "DIR", "--out", path.name)
            raise ConfigError(
                f"{path}, line {number}: not a row of a latency table ({problem}); write it with: "
                f"{again}"
            ) from error
    return table


def write_latency_table(path: Path, table: LatencyTable) -> None:
    """Write latencies as CSV, as `read_latency_table` reads them."""
    rows = [network.to_row() | {"latency_ms": repr(ms)} for network, ms in table.items()]
    write_text(path, to_csv(rows))


def to_csv(rows: Iterable[Mapping[str, str]]) -> str:
    """Return rows with the same columns, at least one, as CSV."""
    rows = list(rows)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
