"""Opens ONNX Runtime sessions the same way everywhere."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Final

# ONNX Runtime reports its use to its maker unless this is set before it is loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

from models.errors import BundleError

__all__ = ["lower_priority", "open_session", "thread_count"]

NICE: Final = 10  # of threads whose work can wait

ort.set_default_logger_severity(3)  # errors only; warnings about constant folding help nobody


def thread_count(threads: int) -> int:
    """Return the number of inference threads: `threads`, or the cores this process may use."""
    return threads or len(os.sched_getaffinity(0))


def lower_priority() -> None:
    """Let the calling thread give way to others; on Linux, niceness is that of a thread."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)


def open_session(model: Path | bytes, threads: int) -> ort.InferenceSession:
    """Open a model on the CPU.

    Raises:
        BundleError: ONNX Runtime cannot read the model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = thread_count(threads)
    options.inter_op_num_threads = 1
    # Threads that spin between two runs take the cores from decoding and from other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena keeps a copy of its largest working set for every input shape it has seen, and
    # pictures come in any shape.
    options.enable_cpu_mem_arena = False
    try:
        return ort.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=["CPUExecutionProvider"],
        )
    except Exception as error:  # ONNX Runtime's exceptions share no base but this
        name = "the model" if isinstance(model, bytes) else model
        raise BundleError(f"{name} is no model that ONNX Runtime can open: {error}") from error
