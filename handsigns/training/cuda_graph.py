"""CUDA graphs: a function's kernels launched at once instead of one by one."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable

import torch

WARMUP_CALLS = 3
"""Calls before the capture, in which libraries initialise and kernels are loaded."""


class GraphedFunction:
    """Function without arguments and result, replayed as a CUDA graph from the fourth call on.

    The first calls run eagerly, as warm-up, and compute the same. On other devices, and where the
    function cannot be captured, every call runs eagerly.

    See Nguyen et al., "Accelerating PyTorch with CUDA Graphs", 2021.

    Args:
        function: reads and writes memory of the device at fixed addresses, and never waits for the
            device. Its Python code runs only until the capture.
        device: device of the function.
        eager_reason: why the function must not be captured; empty if it may be.
    """

    def __init__(
        self, function: Callable[[], None], device: torch.device, eager_reason: str = ""
    ) -> None:
        self._function = function
        self._device = device
        self._graph: torch.cuda.CUDAGraph | None = None
        self._calls = 0
        self._eager_reason = eager_reason if device.type == "cuda" else ""
        self._stream: torch.cuda.Stream | None = None

    @property
    def execution(self) -> str:
        """How the function runs: ``eager``, ``eager: REASON`` or ``cuda graph``."""
        if self._graph is not None:
            return "cuda graph"
        return f"eager: {self._eager_reason}" if self._eager_reason else "eager"

    def __call__(self) -> None:
        """Run the function on the current stream."""
        if self._graph is not None:
            self._graph.replay()
        elif self._device.type != "cuda" or self._eager_reason:
            self._function()
        elif self._calls < WARMUP_CALLS:
            self._calls += 1
            self._run_on_capture_stream()
        elif reason := self._capture():
            self._eager_reason = reason
            self._function()
        else:
            self()

    def _run_on_capture_stream(self) -> None:
        """Run eagerly on the stream of the capture, so that autograd's nodes belong to it."""
        if self._stream is None:
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream):
            self._function()
        torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def _capture(self) -> str:
        """Capture the function without running it; return why that failed, or an empty string."""
        stream = torch.cuda.current_stream(self._device)
        index = torch.cuda.current_device() if self._device.index is None else self._device.index
        generator = torch.cuda.default_generators[index]
        random_state = generator.clone_state()
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
                self._function()
        except RuntimeError as error:  # of CUDA: a synchronisation, or insufficient memory
            reason = capture_problem(error)
            traceback.clear_frames(error.__traceback__)  # their variables hold GPU memory
        else:
            self._graph = graph
            return ""
        # A failed capture may leave its stream as the current one, and the random generator in a
        # state in which it cannot draw.
        torch.cuda.set_stream(stream)
        generator.graphsafe_set_state(random_state)
        del graph
        gc.collect()
        torch.cuda.empty_cache()
        return reason


def capture_problem(error: RuntimeError) -> str:
    """Return in a line why a capture failed."""
    if isinstance(error, torch.OutOfMemoryError):
        return "not enough GPU memory for a CUDA graph"
    return f"not capturable ({str(error).strip().splitlines()[0]})"
