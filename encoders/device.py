"""The device that networks calculate on: the processor, or a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

from encoders.errors import check_choice

AUTO, CPU, CUDA = "auto", "cpu", "cuda"

DEVICES = (AUTO, CPU, CUDA)
"""Names of devices on a command line; ``auto`` takes a GPU where there is one."""


class DeviceMemoryError(OSError):
    """A GPU has no memory left; as with a full disk, what is on disk stays."""


def check_device(name: str) -> None:
    """Refuses the name of a device that is none; whether it is there is not asked.

    Raises:
        ValueError: If it is unknown.
    """
    check_choice("device", name, DEVICES)


def choose_device(name: str) -> torch.device:
    """The device of encoders.

    Args:
        name: One of ``DEVICES``.

    Raises:
        ValueError: If it is unknown, or a GPU is asked for and there is none.
    """
    check_device(name)
    if name == CUDA and not torch.cuda.is_available():
        raise ValueError(
            f"device is 'cuda', and PyTorch {torch.__version__} finds none here; use --device cpu or auto."
        )
    return torch.device(device_type(name))


def agent_device(name: str, trains_convolutions: bool) -> torch.device:
    """The device of an agent: with ``auto``, small networks on vectors stay on the processor, which is faster for them.

    Args:
        name: One of ``DEVICES``.
        trains_convolutions: Whether the agent trains an encoder, or convolutions of its own.

    Raises:
        ValueError: As ``choose_device`` does.
    """
    return choose_device(CPU if name == AUTO and not trains_convolutions else name)


def device_type(name: str) -> str:
    """What a name stands for on this machine, ``cpu`` or ``cuda``; a GPU that is asked for need not be there."""
    return CUDA if name == CUDA or (name == AUTO and torch.cuda.is_available()) else CPU


def device_content(name: str) -> dict[str, str]:
    """The part of a run's identity that the device is: nothing on the processor, whose results do not depend on it."""
    return {} if device_type(name) == CPU else {"device": name}


@contextmanager
def plain_memory_errors() -> Iterator[None]:
    """Tells of a GPU without memory in one line.

    Raises:
        DeviceMemoryError: In place of PyTorch's own error.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            "The GPU has no memory left. Nothing on disk is lost. Make something smaller: the environments (--envs), "
            "the encoder's batches (its setting videos), the frames (their image_size), or the number of runs at a "
            "time (--workers of a benchmark); or use --device cpu."
        ) from error


def whole_float32(device: torch.device) -> AbstractContextManager[object]:
    """Keeps a GPU from rounding the inputs of float32 convolutions to TF32, as PyTorch lets it by default."""
    if device.type != CUDA:
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
