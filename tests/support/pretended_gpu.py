"""A GPU that is pretended: what is on it is calculated by the processor, and mixing it with what is not raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

GPU = torch.device("cuda", 0)

COPIES = ("copy_", "_foreach_copy_")
"""Operations between devices."""

INDEXED = ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index")
"""Operations of which the indices may be on the processor."""


class Memory:
    """The storages that are on the GPU; all are kept, so that none is mistaken for a later one."""

    def __init__(self) -> None:
        self._there: dict[int, Any] = {}

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor is on the GPU."""
        return tensor.untyped_storage()._cdata in self._there

    def put(self, tensor: Tensor) -> Tensor:
        """Says that a tensor is on the GPU."""
        storage = tensor.untyped_storage()
        self._there[storage._cdata] = storage
        return tensor

    def take(self, tensor: Tensor) -> Tensor:
        """Says that a tensor is on the processor."""
        self._there.pop(tensor.untyped_storage()._cdata, None)
        return tensor


class _Operations(TorchDispatchMode):
    """Follows what is calculated, backward passes too."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        memory, name = self._memory, func.overloadpacket.__name__
        given = list(_tensors((args, kwargs or {})))
        there = [memory.holds(part) for part in given]
        checked = given[:1] + given[-1:] if name in INDEXED and there[0] and name != "index" else given
        if name in INDEXED and there[0]:
            checked = [part for part in checked if part.dtype not in (torch.int64, torch.bool)]
        elsewhere = [part for part in checked if part.ndim and not memory.holds(part)]
        if name not in COPIES and any(there) and elsewhere:
            shapes = [tuple(part.shape) for part in elsewhere]
            raise RuntimeError(f"{func} takes tensors on the GPU and others on the processor, of shapes {shapes}")
        result = func(*args, **(kwargs or {}))
        if any(there) and name not in COPIES:
            for part in _tensors(result):
                memory.put(part)
        return result


class _Calls(TorchFunctionMode):
    """Follows moves from one device to the other, and asks where a tensor is."""

    def __init__(self, memory: Memory) -> None:
        super().__init__()
        self._memory = memory

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        memory, kwargs = self._memory, dict(kwargs or {})
        if func == Tensor.device.__get__:  # type: ignore[attr-defined]
            return GPU if memory.holds(args[0]) else func(*args)
        if func is Tensor.cpu:
            return self._moved(args[0], False)
        if func is Tensor.to:
            return self._to(func, args, kwargs)
        if func is Tensor.numpy:
            if memory.holds(args[0]):
                if not kwargs.pop("force", False):
                    raise TypeError("a tensor on the GPU has no numpy array; use Tensor.cpu() first")
                return self._moved(args[0].detach(), False).numpy()
            return func(*args, **kwargs)
        if func is Tensor.__deepcopy__:
            copied = func(*args, **kwargs)
            return memory.put(copied) if memory.holds(args[0]) else copied
        if not isinstance(kwargs.get("device"), torch.device | str) or func is torch.load:
            return func(*args, **kwargs)
        device = torch.device(kwargs.pop("device"))
        if device.type != GPU.type:
            return func(*args, device=device, **kwargs)
        made = func(*args, **kwargs)
        # Arrays and tensors that it was made of stay where they are.
        return memory.put(made.detach().clone().requires_grad_(made.requires_grad))

    def _to(self, func: Callable[..., Tensor], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        tensor, *rest = args
        target: torch.device | None = None
        if rest and isinstance(rest[0], Tensor):
            target, rest[0] = (GPU if self._memory.holds(rest[0]) else torch.device("cpu")), rest[0].dtype
        elif rest and isinstance(rest[0], torch.device | str):
            target, rest[0] = torch.device(rest[0]), "cpu"
        elif kwargs.get("device") is not None:
            target = torch.device(kwargs.pop("device"))
        if target is not None and target.type == "meta":
            return func(*args, **kwargs)
        cast = func(tensor, *rest, **kwargs)
        return cast if target is None else self._moved(cast, target.type == GPU.type)

    def _moved(self, tensor: Tensor, there: bool) -> Tensor:
        memory = self._memory
        if memory.holds(tensor) == there:
            return tensor
        return (memory.put if there else memory.take)(tensor.clone())


def _tensors(parts: Any) -> Iterable[Tensor]:
    return (part for part in tree_leaves(parts) if isinstance(part, Tensor) and part.layout == torch.strided)


@contextmanager
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """Lets PyTorch find a GPU, in this thread; nothing is rounded to bfloat16 on it.

    Yields:
        What is on it.
    """
    memory = Memory()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: torch.get_rng_state())
    monkeypatch.setattr(torch.cuda, "set_rng_state", lambda state, device: None)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", torch.backends.cudnn.deterministic)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", torch.backends.cudnn.benchmark)
    with _Operations(memory), _Calls(memory):
        yield memory
