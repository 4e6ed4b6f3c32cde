"""Every wrapper around a real environment: the checkers of two libraries, and environments made again from a spec."""

from __future__ import annotations

import copy
import importlib
import pkgutil
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from stable_baselines3.common.env_checker import check_env as check_env_for_agents

import envs
import rewards
from encoders import Encoder
from envs.drawn import DrawnObservation
from envs.embedding import EmbeddingObservation
from envs.episodes import FixedLength
from envs.fast_drawing import FastDrawing
from envs.landmarks import LandmarkObservation
from envs.phase import PhaseObservation
from envs.pixels import FrozenEmbedding, PixelObservation, SeededEpisodes, StateObservation
from envs.snapshots import SnapshotStarts
from envs.standard import StandardState
from envs.starts import DemonstrationStarts, Starts, StartsAt
from rewards.huber import HuberConfig
from rewards.lost import EndWhenLost
from rewards.wrappers import TrackingReward

HORIZON = 4
CARTPOLE = "WrappedCartpole-v0"
SHOWN = np.random.default_rng(0).normal(size=(HORIZON + 1, 8)).astype(np.float32)
PATH = np.random.default_rng(0).uniform(-0.5, 0.5, (HORIZON + 1, 7))
STARTS = Starts({"joints": np.array([[0.3, 0.1], [-0.2, 3.0]])}, (np.array([0]), np.array([0, 1])))

Wrap = Callable[[gym.Env[Any, Any], Encoder], gym.Env[Any, Any]]


def tracked(env: gym.Env[Any, Any]) -> TrackingReward:
    return TrackingReward(env, "joint_positions", PATH, HuberConfig(), 1.0)


ON_KUKA: dict[type, Wrap] = {
    EmbeddingObservation: lambda env, encoder: EmbeddingObservation(env, encoder, SHOWN, drop=("goal",)),
    PhaseObservation: lambda env, _: PhaseObservation(env, HORIZON, drop=("goal",)),
    PixelObservation: lambda env, _: PixelObservation(env),
    StateObservation: lambda env, _: StateObservation(env),
    SeededEpisodes: lambda env, _: SeededEpisodes(env, 3),
    FrozenEmbedding: lambda env, encoder: FrozenEmbedding(PixelObservation(env), encoder, keep_pixels=True),
    TrackingReward: lambda env, _: tracked(env),
    EndWhenLost: lambda env, _: EndWhenLost(tracked(env), -50.0),
    DrawnObservation: lambda env, _: DrawnObservation(env, 16, hidden=("goal",)),
    FastDrawing: lambda env, _: FastDrawing(env, 16),
    FixedLength: lambda env, _: FixedLength(env, HORIZON),
    SnapshotStarts: lambda env, _: SnapshotStarts(env),
    StandardState: lambda env, _: StandardState(DrawnObservation(env, 16), np.zeros(17), np.ones(17)),
    StartsAt: lambda env, _: StartsAt(env, {"joint_positions": np.full(7, 0.1)}),
}
ON_CARTPOLE: dict[type, Wrap] = {
    LandmarkObservation: lambda env, _: LandmarkObservation(env, 2, noise=0.5),
    DemonstrationStarts: lambda env, _: DemonstrationStarts(env, STARTS, 0.5),
}
ALL = {**ON_KUKA, **ON_CARTPOLE}


@pytest.fixture(params=ALL, ids=lambda wrapper: wrapper.__name__)
def wrapped(request: pytest.FixtureRequest, encoder: Encoder) -> Iterator[gym.Env[Any, Any]]:
    gym.register(CARTPOLE, "envs.cartpole:Cartpole", kwargs={"image_size": 16, "action_repeat": 125})
    kuka = {"image_size": 16, "horizon": HORIZON}
    base = gym.make("KukaReach-v0", **kuka) if request.param in ON_KUKA else gym.make(CARTPOLE)
    env = ALL[request.param](base, encoder)
    assert type(env) is request.param
    yield env
    env.close()
    del gym.registry[CARTPOLE]


def episode(env: gym.Env[Any, Any]) -> list[Any]:
    """What an environment answers to a reset and two steps."""
    actions = np.random.default_rng(0).uniform(-1, 1, (2, *(env.action_space.shape or ()))).astype(np.float32)
    return [env.reset(seed=7), *(env.step(action) for action in actions)]


def layers(env: gym.Env[Any, Any]) -> list[str]:
    """The classes of an environment and its wrappers, from the outside in."""
    names = [type(env).__name__]
    while isinstance(env, gym.Wrapper):
        env = env.env
        names.append(type(env).__name__)
    return names


def test_no_wrapper_is_left_out_here() -> None:
    for package in (envs, rewards):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    found: set[type] = set()
    waiting: list[type] = [gym.Wrapper]
    while waiting:
        waiting += (below := waiting.pop().__subclasses__())
        found |= {kind for kind in below if kind.__module__.split(".")[0] in ("envs", "rewards", "experiments")}
    assert found == set(ALL)


def test_the_checkers_of_both_libraries_accept_it(wrapped: gym.Env[Any, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is wrapped, and that embeddings are unbounded
        check_env(wrapped, skip_close_check=True)
        check_env_for_agents(wrapped, warn=False)


def test_its_spec_makes_it_again(wrapped: gym.Env[Any, Any]) -> None:
    assert wrapped.spec is not None
    again = gym.make(wrapped.spec)
    # A spec with the horizon makes a TimeLimit of it, which cuts where the environment does itself.
    assert [name for name in layers(again) if name != "TimeLimit"] == layers(wrapped)
    assert again.observation_space == wrapped.observation_space
    assert data_equivalence(episode(again), episode(wrapped), exact=True)
    again.close()


def test_a_seed_settles_the_episodes_after_it_too(wrapped: gym.Env[Any, Any]) -> None:
    first = [wrapped.reset(seed=3), *(wrapped.reset() for _ in range(3))]
    again = [wrapped.reset(seed=3), *(wrapped.reset() for _ in range(3))]
    assert data_equivalence(first, again, exact=True)


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda env, _: PixelObservation(env), r"\(2, 16, 16, 3\); one camera's frames are needed"),
        (lambda env, encoder: FrozenEmbedding(env, encoder), "must observe frames alone"),
        (lambda env, _: LandmarkObservation(env, 2), "a KukaReach; it must be this project's Cartpole"),
        (lambda env, _: StateObservation(env, ("joints",)), "must observe joints; it observes"),
    ],
    ids=["pixels", "frozen", "landmarks", "state"],
)
def test_an_environment_of_another_kind_is_refused(wrap: Wrap, message: str, encoder: Encoder) -> None:
    env = gym.make("KukaReach-v0", camera=("front", "side"), image_size=16)
    with pytest.raises(ValueError, match=message):
        wrap(env, encoder)
    env.close()


class Painted(gym.Env[dict[str, Any], Any]):
    """An environment in Python alone, which can be copied; what it observes is a function of the steps done."""

    action_space = gym.spaces.Box(-1, 1, (7,), np.float32)
    observation_space = gym.spaces.Dict(
        {
            "joint_positions": gym.spaces.Box(-9, 9, (7,), np.float32),
            "joint_velocities": gym.spaces.Box(-9, 9, (7,), np.float32),
            "goal": gym.spaces.Box(-9, 9, (3,), np.float32),
            "pixels": gym.spaces.Box(0, 255, (16, 16, 3), np.uint8),
        }
    )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.time = (options or {}).get("time", 0)
        return self._observe(), {}

    def step(self, action: Any) -> Any:
        self.time += 1
        return self._observe(), -1.0, False, self.time >= HORIZON, {}

    def _observe(self) -> dict[str, Any]:
        spaces = self.observation_space.spaces
        return {name: np.full(space.shape, self.time, space.dtype) for name, space in spaces.items()}


@pytest.mark.parametrize("wrapper", [*ON_KUKA, DemonstrationStarts], ids=lambda wrapper: wrapper.__name__)
def test_a_copy_goes_on_from_the_same_moment_and_leaves_the_original_alone(wrapper: type, encoder: Encoder) -> None:
    env = ALL[wrapper](Painted(), encoder)
    env.reset(seed=0)
    copied = copy.deepcopy(env)
    action = np.zeros(7, np.float32)
    first, second = (copied.step(action) for _ in range(2))
    assert not data_equivalence(first, second)
    for expected in (first, second):
        assert data_equivalence(env.step(action), expected, exact=True)
