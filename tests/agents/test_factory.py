"""Agents by name: built, taught a little, saved, loaded."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from following_point import HORIZON, Follow
from safetensors.torch import load_file, save_file
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents import factory
from encoders.files import FileError


def make_venv(width: int = 3) -> VecEnv:
    return DummyVecEnv([lambda: Follow(np.linspace(1, 2, width).tolist())] * 2)  # type: ignore[list-item]


@pytest.fixture
def venv() -> Iterator[VecEnv]:
    venv = make_venv()
    yield venv
    venv.close()


def observations(venv: VecEnv) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {"place": rng.normal(size=(20, 3)).astype(np.float32), "time": rng.random((20, 1)).astype(np.float32)}


def saved(tmp_path: Path, venv: VecEnv, name: str = "ppo") -> Path:
    factory.save_agent(factory.make(name, venv, HORIZON, 0), name, HORIZON, tmp_path / "agent")
    return tmp_path / "agent"


@pytest.mark.parametrize("name", ["ppo", "sac", "a2c"])
@pytest.mark.filterwarnings("ignore:You have specified a mini-batch size")
def test_every_agent_learns_and_is_the_same_after_a_round_trip(tmp_path: Path, venv: VecEnv, name: str) -> None:
    agent = factory.make(name, venv, HORIZON, 0)
    before = {key: value.clone() for key, value in agent.policy.state_dict().items()}
    if name == "sac":
        agent.learning_starts = 20  # type: ignore[attr-defined]
    agent.learn(2 * 2 * HORIZON)
    assert any(not torch.equal(value, before[key]) for key, value in agent.policy.state_dict().items())
    factory.save_agent(agent, name, HORIZON, tmp_path / "new" / "agent")
    loaded = factory.load_agent(tmp_path / "new" / "agent", venv)
    assert type(loaded) is type(agent)
    seen = observations(venv)
    actions, _ = agent.predict(seen, deterministic=True)
    np.testing.assert_array_equal(loaded.predict(seen, deterministic=True)[0], actions)
    assert np.abs(actions).max() <= 1
    assert len(np.unique(actions, axis=0)) > 1


def test_the_names_are_those_of_the_command_line() -> None:
    assert sorted(factory.names()) == ["a2c", "ppo", "sac"]


def test_the_seed_makes_the_agent(venv: VecEnv) -> None:
    seen = observations(venv)
    one, same, other = (
        factory.make("ppo", venv, HORIZON, seed).predict(seen, deterministic=True)[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize(("name", "horizon", "steps"), [("ppo", 12, 12), ("a2c", 12, 4), ("a2c", 50, 5), ("a2c", 7, 1)])
def test_on_policy_agents_update_after_equal_parts_of_an_episode(
    venv: VecEnv, name: str, horizon: int, steps: int
) -> None:
    assert factory.make(name, venv, horizon, 0).n_steps == steps  # type: ignore[attr-defined]


def test_the_step_size_falls_linearly(venv: VecEnv) -> None:
    schedule = factory.make("ppo", venv, HORIZON, 0).lr_schedule
    first, middle, last = (schedule(remaining) for remaining in (1.0, 0.5, 0.0))
    assert first > last > 0
    assert middle == pytest.approx((first + last) / 2)


def test_an_unknown_name_is_answered_with_the_nearest_one(venv: VecEnv) -> None:
    with pytest.raises(ValueError, match=r"Unknown algorithm 'pppo'\. Did you mean 'ppo'\?"):
        factory.make("pppo", venv, HORIZON, 0)


@pytest.mark.parametrize("name", ["ppo", "sac", "a2c"])
def test_the_folder_holds_numbers_and_settings_alone(tmp_path: Path, venv: VecEnv, name: str) -> None:
    folder = saved(tmp_path, venv, name)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert {path.suffix for path in files} == {".json", ".safetensors"}
    for path in files:
        with pytest.raises((pickle.UnpicklingError, ValueError, EOFError, KeyError, IndexError, AttributeError)):
            pickle.loads(path.read_bytes())
    assert json.loads((folder / "agent.json").read_text())["algo"] == name


def test_a_missing_or_empty_folder_is_refused(tmp_path: Path, venv: VecEnv) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "nothing", tmp_path / "empty"):
        with pytest.raises(ValueError, match=str(folder)):
            factory.load_agent(folder, venv)


def test_a_folder_without_weights_is_refused(tmp_path: Path, venv: VecEnv) -> None:
    folder = saved(tmp_path, venv)
    (folder / "policy.safetensors").unlink()
    with pytest.raises(ValueError, match=str(folder)):
        factory.load_agent(folder, venv)


@pytest.mark.parametrize("content", [b"", b"no tensors at all", None], ids=["empty", "foreign", "half"])
def test_damaged_weights_are_refused_by_name(tmp_path: Path, venv: VecEnv, content: bytes | None) -> None:
    path = saved(tmp_path, venv) / "policy.safetensors"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if content is None else content)
    with pytest.raises(ValueError, match=str(path)):
        factory.load_agent(path.parent, venv)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"algo": "ppo"}', '{"algo": "pppo", "horizon": 15}'])
def test_a_damaged_card_is_refused_by_name(tmp_path: Path, venv: VecEnv, text: str) -> None:
    path = saved(tmp_path, venv) / "agent.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"agent\.json|Did you mean"):
        factory.load_agent(path.parent, venv)


def test_an_agent_of_other_observations_or_another_kind_is_refused(tmp_path: Path, venv: VecEnv) -> None:
    folder = saved(tmp_path, venv)
    other = make_venv(width=4)
    with pytest.raises(ValueError, match="does not fit the environment"):
        factory.load_agent(folder, other)
    other.close()
    (folder / "agent.json").write_text(json.dumps({"algo": "sac", "horizon": HORIZON}))
    with pytest.raises(ValueError, match="does not fit"):
        factory.load_agent(folder, venv)


def refused(folder: Path, path: Path, venv: VecEnv) -> str:
    with pytest.raises(FileError) as raised:
        factory.load_agent(folder, venv)
    assert str(path) in str(raised.value) and "train the agent again" in str(raised.value)
    return str(raised.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("horizon", [10**9, 10**30, 0, -1, True, 15.0, "15", None, [15], 100_001])
def test_a_horizon_that_is_no_length_of_an_episode_is_refused_before_anything_is_built(
    tmp_path: Path, venv: VecEnv, monkeypatch: pytest.MonkeyPatch, horizon: Any
) -> None:
    path = saved(tmp_path, venv) / "agent.json"
    path.write_text(json.dumps({"algo": "ppo", "horizon": horizon}))
    monkeypatch.setattr(factory, "make", None)
    assert repr(horizon) in refused(path.parent, path, venv)


def test_an_agent_is_not_made_for_an_episode_without_end(venv: VecEnv) -> None:
    for horizon in (0, 10**9):
        with pytest.raises(ValueError, match=f"The horizon is {horizon}; an episode has 1 to 100000 steps"):
            factory.make("ppo", venv, horizon, 0)


@pytest.mark.parametrize("algo", [True, 3, ["ppo"], {"ppo": 1}, None])
def test_an_algorithm_that_is_no_name_is_refused(tmp_path: Path, venv: VecEnv, algo: Any) -> None:
    path = saved(tmp_path, venv) / "agent.json"
    path.write_text(json.dumps({"algo": algo, "horizon": HORIZON}))
    assert "for algo, no str" in refused(path.parent, path, venv)


@pytest.mark.parametrize("file", ["agent.json", "policy.safetensors"])
@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"\x80\x04", None],
    ids=["empty", "object", "list", "deep", "deep_object", "no_text", "pickle", "pipe"],
)
def test_a_damaged_agent_is_one_error_that_names_the_file(
    tmp_path: Path, venv: VecEnv, file: str, content: bytes | None
) -> None:
    path = saved(tmp_path, venv) / file
    path.unlink()
    if content is None:
        os.mkfifo(path)
    else:
        path.write_bytes(content)
    refused(path.parent, path, venv)


def test_weights_that_are_larger_than_the_policy_are_not_read(tmp_path: Path, venv: VecEnv) -> None:
    path = saved(tmp_path, venv) / "policy.safetensors"
    with path.open("ab") as file:
        file.truncate(2**34)
    assert "more than the" in refused(path.parent, path, venv)


def test_a_bit_that_is_another_is_found_in_the_weights(tmp_path: Path, venv: VecEnv) -> None:
    path = saved(tmp_path, venv) / "policy.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert "has other weights than were written" in refused(path.parent, path, venv)


def test_an_agent_from_before_there_were_digests_is_loaded(tmp_path: Path, venv: VecEnv) -> None:
    folder = saved(tmp_path, venv)
    card = json.loads((folder / "agent.json").read_text())
    assert card.pop("digest")
    (folder / "agent.json").write_text(json.dumps(card))
    weights = load_file(folder / "policy.safetensors")
    for key, value in factory.load_agent(folder, venv).policy.state_dict().items():
        assert torch.equal(value, weights[key]), key


@pytest.mark.parametrize("kind", [torch.int8, torch.bool, torch.complex64, torch.float16, torch.float64])
def test_weights_of_another_type_are_refused(tmp_path: Path, venv: VecEnv, kind: torch.dtype) -> None:
    path = saved(tmp_path, venv) / "policy.safetensors"
    weights = load_file(path)
    save_file({**weights, "value_net.weight": weights["value_net.weight"].to(kind)}, path)
    (path.parent / "agent.json").write_text(json.dumps({"algo": "ppo", "horizon": HORIZON}))
    message = refused(path.parent, path, venv)
    assert f"The weights value_net.weight in {path} are {kind}, not torch.float32" in message


@pytest.mark.parametrize("frozen", ["false", 0, None, [True]])
def test_a_truth_value_in_a_card_is_no_text_and_no_number(tmp_path: Path, frozen: Any) -> None:
    path = tmp_path / "agent.json"
    path.write_text(json.dumps({"algo": "a2c", "frozen": frozen}))
    with pytest.raises(FileError, match=f"{path} has .* for frozen, no bool"):
        factory.read_card(tmp_path, {"algo": str, "frozen": bool})
