"""Checkpoints of training: everything an agent needs to go on as if it had not been interrupted."""

from __future__ import annotations

import io
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.auxiliary_state import make_own_optimizer, own_optimizer
from agents.replay_file import read_replay, replay_bytes
from agents.weights import check_types, content_digest
from encoders.files import FileError, read_bytes, read_object, reading, write_atomically

STATE_FILE = "state.json"

MOST_COPIES = 8
"""Largest size of networks and optimizers in a checkpoint, as a multiple of the policy's weights."""

MOST_EXTRA = 2**26
"""Largest size of the names and random generators in a checkpoint, bytes."""


def restart_remedy(folder: Path) -> str:
    """How to go on with a run whose checkpoint cannot be used, as the end of a sentence."""
    return f"delete the folder {folder} to train again from the start"


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Writes the state of a training as JSON, with a digest."""
    digest = content_digest(json.dumps(state).encode())
    write_atomically(path, json.dumps({**state, "digest": digest}).encode())


def read_state(path: Path, keys: Sequence[str]) -> dict[str, Any]:
    """Reads what ``write_state`` wrote.

    Args:
        path: The file.
        keys: Names that it must hold.

    Raises:
        FileError: If it is missing, damaged or lacks a name.
    """
    what, remedy = "training state", restart_remedy(path.parent)
    state = read_object(path, what, remedy, keys)
    # Checkpoints from before there were digests have none.
    digest = state.pop("digest", None)
    if digest is not None and digest != content_digest(json.dumps(state).encode()):
        raise FileError(f"The {what} {path} has other figures than were written; {remedy}.")
    return state


def save_checkpoint(agent: BaseAlgorithm, folder: Path) -> None:
    """Writes a checkpoint; ``state.json`` comes last, so that its presence means that the rest is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"step_{agent.num_timesteps}"
    buffer = io.BytesIO()
    # Modules and optimisers alone: tensors and numbers, which load without running code.
    saved = {"parameters": agent.get_parameters(), "variables": _variables(agent), "torch_rng": torch.get_rng_state()}
    own = own_optimizer(agent)
    if own is not None:
        saved["auxiliary_optimizer"] = own.state_dict()
    if agent.device.type == "cuda":
        saved["cuda_rng"] = torch.cuda.get_rng_state(agent.device)
    torch.save(saved, buffer)
    weights = buffer.getvalue()
    write_atomically(folder / f"{name}.pt", weights)
    if isinstance(agent, OffPolicyAlgorithm):
        assert agent.replay_buffer is not None
        write_atomically(folder / f"{name}.npz", replay_bytes(agent.replay_buffer))
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 - SB3 draws its minibatches from the global state
    assert isinstance(numpy_state, dict)
    numpy_state["state"] = {
        key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in numpy_state["state"].items()
    }
    python_state = random.getstate()
    state = {
        "env_steps": agent.num_timesteps,
        "updates": agent._n_updates,
        "numpy_rng": numpy_state,
        "python_rng": [python_state[0], list(python_state[1]), python_state[2]],
        "action_rng": agent.action_space.np_random.bit_generator.state,
        # PyTorch does not look at the sums of its files; zip archives of arrays are compared with theirs.
        "weights_digest": content_digest(weights),
    }
    write_state(folder / STATE_FILE, state)
    for old in folder.glob("step_*"):
        if old.stem != name:
            old.unlink()


def restore_checkpoint(agent: BaseAlgorithm, folder: Path) -> bool:
    """Restores a newly made agent from its checkpoint, if there is one.

    Args:
        agent: An agent with the settings of the one that was cut.
        folder: The checkpoint's folder.

    Returns:
        Whether there was a checkpoint.

    Raises:
        FileError: If a file of it is missing, damaged or of another agent; what was restored by then is of no use.
    """
    path, remedy = folder / STATE_FILE, restart_remedy(folder)
    if not path.exists():
        return False
    state = read_state(path, ("env_steps", "updates", "numpy_rng", "python_rng", "action_rng"))
    for key in ("env_steps", "updates"):
        if type(state[key]) is not int or state[key] < 0:
            raise FileError(f"The training state {path} has {state[key]!r} for {key}; {remedy}.")
    name = f"step_{state['env_steps']}"
    saved = _read_weights(agent, folder / f"{name}.pt", state.get("weights_digest"), remedy)
    agent.num_timesteps = state["env_steps"]
    agent._n_updates = state["updates"]
    if isinstance(agent, OffPolicyAlgorithm):
        assert agent.replay_buffer is not None
        read_replay(agent.replay_buffer, folder / f"{name}.npz", remedy)
    # The generators come last: building an agent draws from them.
    with reading(folder / f"{name}.pt", "checkpoint", remedy):
        torch.set_rng_state(saved["torch_rng"])
        if agent.device.type == "cuda":
            torch.cuda.set_rng_state(saved["cuda_rng"], agent.device)
    with reading(path, "training state", remedy):
        numpy_state = state["numpy_rng"]
        numpy_state["state"]["key"] = np.array(numpy_state["state"]["key"], np.uint32)
        np.random.set_state(numpy_state)  # noqa: NPY002 - see save_checkpoint
        version, numbers, gauss = state["python_rng"]
        random.setstate((version, tuple(numbers), gauss))
        agent.action_space.np_random.bit_generator.state = state["action_rng"]
    return True


def _read_weights(agent: BaseAlgorithm, path: Path, digest: str | None, remedy: str) -> dict[str, Any]:
    """Fills an agent's networks and optimizers, and returns all that the file holds."""
    own = agent.policy.state_dict()
    most = MOST_COPIES * sum(value.nbytes for value in own.values()) + MOST_EXTRA
    content = read_bytes(path, "checkpoint", remedy, most)
    if digest is not None and digest != content_digest(content):
        raise FileError(f"The checkpoint {path} has other weights than were written, by its digest; {remedy}.")
    with reading(path, "checkpoint", remedy):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > len(content):
                raise ValueError("an archive that grows when it is read")
        saved: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        check_types(saved["parameters"]["policy"], own, path, remedy)
        agent.set_parameters(saved["parameters"], exact_match=True)
        variables = _variables(agent)
        check_types(saved["variables"], variables, path, remedy)
        for variable, value in variables.items():
            value.copy_(saved["variables"][variable])
        if "auxiliary_optimizer" in saved:
            make_own_optimizer(agent).load_state_dict(saved["auxiliary_optimizer"])
    return saved


def _variables(agent: BaseAlgorithm) -> dict[str, torch.Tensor]:
    """Trained tensors outside modules, such as SAC's entropy coefficient, without a copy."""
    return {name: getattr(agent, name).detach() for name in agent._get_torch_save_params()[1]}
