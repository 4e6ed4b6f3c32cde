"""Batches from rollout and replay buffers: of one trajectory each, in the order of time, in any layout."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from numbered_frames import SIZE, Framed, agent, attention
from stable_baselines3 import A2C, SAC

import encoders
from agents.extractor import EncoderExtractor, MaskedConvolutions, frame_space, trained_encoder, view_frames
from agents.policies import SharedEncoderPolicy
from agents.shared_sac import SharedEncoderSAC
from agents.training import break_off
from agents.trajectories import Steps, draw_batch, stored_steps, stretch
from encoders.base import Encoder, Sampling
from encoders.models.attention import Attention


class Wide(Attention):
    """Asks for longer stretches than pairs."""

    @property
    def sampling(self) -> Sampling:
        return Sampling(videos=30, frames=4, span=5, views=1, least=3)


def wide() -> Encoder:
    return Wide(attention().config)


def check(made: Any) -> None:
    """Every stretch of a batch is from one environment and one episode, forward in time, within the span."""
    batch = draw_batch(stored_steps(made), wide(), 30, np.random.default_rng(0))
    assert batch is not None
    env, episode, step = batch.frames[:, 0, 0, :3].to(torch.int64).T
    for number in batch.video.unique():
        members = batch.video == number
        assert len(env[members].unique()) == len(episode[members].unique()) == 1
        times = step[members]
        assert len(times) >= 3
        assert (times.diff() > 0).all() and times[-1] - times[0] < 5
        assert torch.equal(times.diff(), batch.time[members].diff())
    assert len(env.unique()) == 2 and len(episode.unique()) > 1


@pytest.mark.parametrize("name", ["a2c", "ppo"])
def test_a_rollout_gives_stretches_of_one_trajectory_before_and_after_it_is_flattened(name: str) -> None:
    made = agent(name, n_steps=20, **({"batch_size": 40} if name == "ppo" else {}))
    _, callback = made._setup_learn(100, None)
    made.collect_rollouts(made.env, callback, made.rollout_buffer, 20)
    check(made)
    next(made.rollout_buffer.get(8))
    assert made.rollout_buffer.generator_ready
    check(made)


@pytest.mark.parametrize("steps", [20, 45])
def test_a_replay_buffer_gives_stretches_of_one_trajectory_before_and_after_it_wraps(steps: int) -> None:
    made = agent("sac", learning_starts=1000)
    assert isinstance(made, SAC) and made.replay_buffer is not None
    made.learn(2 * steps)
    assert made.replay_buffer.full == (steps > 32)
    check(made)


def test_a_trajectory_ends_where_training_was_broken_off() -> None:
    made = agent("sac", learning_starts=1000)
    assert isinstance(made, SAC) and made.replay_buffer is not None
    made.learn(10)
    break_off(made.replay_buffer)
    made.learn(8, reset_num_timesteps=False)
    # Episodes of seven steps, broken off after five; the newest step is an end of its own.
    assert np.flatnonzero(stored_steps(made).ends[:, 0]).tolist() == [4, 6, 8]


def test_a_stretch_does_not_cross_the_place_where_new_steps_meet_old_ones() -> None:
    ends = np.zeros((6, 1), bool)
    ends[2] = True
    steps = Steps(np.zeros((6, 1, 1, 1, 1), np.uint8), ends, 3)
    found = {tuple(stretch(steps, 0, anchor, 10, np.random.default_rng(0))) for anchor in range(6)}
    assert found == {(3, 4, 5, 0, 1, 2)}


def test_a_loss_that_needs_distant_moments_gets_both_ends_of_a_stretch() -> None:
    steps = Steps(np.zeros((9, 1, 2, SIZE, SIZE), np.uint8), np.arange(9)[:, None] == 8, 0)
    encoder = wide()
    for seed in range(20):
        batch = draw_batch(steps, encoder, 1, np.random.default_rng(seed))
        assert batch is not None
        assert batch.time[0] == 0 and len(batch.time) == min(4, int(batch.time[-1]) + 1)


def test_no_batch_where_every_trajectory_is_too_short() -> None:
    steps = Steps(np.zeros((6, 2, 2, SIZE, SIZE), np.uint8), np.ones((6, 2), bool), 0)
    assert draw_batch(steps, attention(), 4, np.random.default_rng(0)) is None


def test_frames_of_every_layout_become_rows_of_views() -> None:
    pixels = torch.arange(2 * 3 * 4 * 4 * 2).view(2, 3, 4, 4, 2).to(torch.uint8)
    rows = view_frames(pixels, 2)
    assert rows.shape == (6, 2, 4, 4)
    assert torch.equal(rows[4], pixels[1, 1].permute(2, 0, 1))
    assert torch.equal(view_frames(pixels[:, 0], 2), pixels[:, 0].permute(0, 3, 1, 2))
    first = pixels[:, 0].permute(0, 3, 1, 2)
    assert torch.equal(view_frames(first.float(), 2), first)
    with pytest.raises(ValueError, match="have no 3 channels"):
        view_frames(pixels, 3)


def test_an_environment_without_frames_is_refused() -> None:
    with pytest.raises(ValueError, match="observes no frames"):
        frame_space(spaces.Dict({"joint_positions": spaces.Box(-1, 1, (7,), np.float32)}))
    with pytest.raises(ValueError, match="observes no frames"):
        frame_space(spaces.Box(-1, 1, (3, 8, 8), np.float32))
    with pytest.raises(ValueError, match="have values up to 1; encoders take 0 to 255"):
        frame_space(spaces.Box(0, 1, (3, 8, 8), np.uint8))


def test_the_policys_initialisation_leaves_the_encoder_as_it_came() -> None:
    encoder = attention()
    for name in ("a2c", "sac"):
        copied = trained_encoder(agent(name, encoder))
        for key, value in encoder.state_dict().items():
            assert torch.equal(copied.state_dict()[key], value), key
        assert copied is not encoder


@pytest.mark.parametrize("channels", [1, 2])
def test_the_mask_multiplies_the_map_and_an_open_one_changes_nothing(channels: int) -> None:
    encoder = attention(channels=channels)
    space = spaces.Box(0, 255, (channels, SIZE, SIZE), np.uint8)
    torch.manual_seed(0)
    masked = MaskedConvolutions(space, encoder, features_dim=8)
    torch.manual_seed(0)
    plain = MaskedConvolutions(space, None, features_dim=8)
    frames = torch.randint(0, 256, (3, channels, SIZE, SIZE)).float()
    plain.load_state_dict({k: v for k, v in masked.state_dict().items() if not k.startswith("encoder")})
    maps = plain.convolutions(frames / 255)
    mask = encoder.mask(frames.to(torch.uint8))
    expected = plain.linear(maps * mask)
    assert torch.allclose(masked(frames), expected, atol=1e-6)
    assert masked.encoder is not None
    with torch.no_grad():
        masked.encoder.mask_generator[-1].bias.fill_(50.0)
    assert torch.allclose(masked(frames), plain(frames), atol=1e-6)


@pytest.mark.parametrize("flows", [True, False])
def test_the_policys_gradient_reaches_the_mask_only_if_it_may(flows: bool) -> None:
    extractor = MaskedConvolutions(
        agent("a2c").observation_space, attention(policy_gradient=flows), frozen=False, features_dim=8
    )
    extractor(torch.randint(0, 256, (3, 2, SIZE, SIZE)).float()).sum().backward()
    assert isinstance(extractor.encoder, Encoder)
    reached = {key for key, part in extractor.encoder.named_parameters() if part.grad is not None}
    assert reached == ({key for key, _ in extractor.encoder.named_parameters() if "mask" in key} if flows else set())


def test_a_mask_made_for_other_frames_is_refused() -> None:
    space = agent("a2c").observation_space
    for settings in ({"image_size": 40, "channels": 2}, {"image_size": SIZE, "channels": 4}):
        with pytest.raises(ValueError, match="was made for frames of shape"):
            MaskedConvolutions(space, encoders.make("attention", **settings))


def test_batch_norms_are_constants_for_the_agent_and_learn_from_the_auxiliary_batches() -> None:
    tcn = encoders.make("tcn", image_size=SIZE, channels=2)
    extractor = EncoderExtractor(agent("a2c").observation_space, tcn).train()
    frames = torch.randint(0, 256, (6, 2, SIZE, SIZE)).float()
    before = {key: value.clone() for key, value in extractor.state_dict().items()}
    assert torch.allclose(extractor(frames)[:2], extractor(frames[:2]), atol=1e-5)
    assert all(torch.equal(before[key], value) or "nan" in str(value) for key, value in extractor.state_dict().items())


class ChannelsLast(gym.ObservationWrapper):
    """The frames as cameras give them."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.observation_space = spaces.Box(0, 255, (SIZE, SIZE, 2), np.uint8)

    def observation(self, observation: np.ndarray) -> np.ndarray:
        return observation.transpose(1, 2, 0)


def seeing(normalize: bool, env: gym.Env | None = None) -> A2C:
    tcn = encoders.make("tcn", image_size=SIZE, channels=2).eval()
    policy = {"features_extractor_class": EncoderExtractor, "features_extractor_kwargs": {"encoder": tcn}}
    return A2C("CnnPolicy", env or Framed(), policy_kwargs={**policy, "normalize_images": normalize}, device="cpu")


@pytest.mark.parametrize("wrapper", [lambda env: env, ChannelsLast], ids=["first", "last"])
def test_the_policys_encoder_sees_what_the_encoder_sees_wherever_the_channels_are(wrapper: Any) -> None:
    made = seeing(False, wrapper(Framed()))
    first, second = Framed(1).reset()[0], Framed(2).reset()[0]
    encoder = trained_encoder(made)
    frames = torch.from_numpy(np.stack([first, second]))
    wanted = encoder.embed(frames)
    observed = (
        np.stack([first, second]) if wrapper is not ChannelsLast else np.stack([first, second]).transpose(0, 2, 3, 1)
    )
    tensor, _ = made.policy.obs_to_tensor(observed)
    features = made.policy.extract_features(tensor).detach()
    torch.testing.assert_close(features, wanted, rtol=1e-4, atol=1e-4)
    assert torch.dist(features[0], features[1]) > 0.01


@pytest.mark.parametrize("name", ["a2c", "ppo", "sac"])
def test_frames_that_the_policy_divides_are_refused_with_the_way_out(name: str) -> None:
    made = agent(name, policy={"normalize_images": True})
    with pytest.raises(ValueError, match=r"divides frames by 255 .* normalize_images=False"):
        made.predict(Framed().reset()[0])
    with pytest.raises(ValueError, match=r"float32 from 0 to 1\. Stable-Baselines3 divides"):
        made.learn(16)


def test_frames_that_are_divided_for_an_encoder_extractor_are_refused_in_every_layout() -> None:
    for env in (Framed(), ChannelsLast(Framed())):
        with pytest.raises(ValueError, match=r"divides frames by 255 .* normalize_images=False"):
            seeing(True, env).learn(8)


def test_the_shared_encoders_policy_is_not_made_to_divide_frames() -> None:
    venv = agent("sac").get_env()
    tcn = encoders.make("tcn", image_size=SIZE, channels=2)
    policy = {"features_extractor_class": EncoderExtractor, "features_extractor_kwargs": {"encoder": tcn}}
    with pytest.raises(ValueError, match=r"normalize_images=False"):
        SharedEncoderSAC(SharedEncoderPolicy, venv, buffer_size=64, policy_kwargs=policy, device="cpu")


WHOLE = torch.randint(2, 256, (3, 2, SIZE, SIZE))


@pytest.mark.parametrize(
    "frames",
    [
        WHOLE / 255,
        WHOLE.double() / 255,
        WHOLE + 0.5,
        WHOLE - 300.0,
        WHOLE * 2.0 + 255,
        WHOLE.long() + 255,
        torch.full((3, 2, SIZE, SIZE), float("nan")),
        torch.full((3, 2, SIZE, SIZE), float("inf")),
        WHOLE > 100,
        WHOLE.to(torch.complex64),
    ],
)
def test_values_that_a_cast_would_change_are_refused_where_frames_come_in(frames: torch.Tensor) -> None:
    space = spaces.Box(0, 255, (2, SIZE, SIZE), np.uint8)
    extractors = (
        EncoderExtractor(space, encoders.make("tcn", image_size=SIZE, channels=2)),
        MaskedConvolutions(space, None, features_dim=8),
    )
    for receive in (*extractors, lambda frames: view_frames(frames, 2)):
        with pytest.raises(ValueError, match="whole values from 0 to 255"):
            receive(frames)
    for extractor in extractors:
        black = extractor(torch.zeros(1, 2, SIZE, SIZE))
        # A black frame does not tell what the policy does to others.
        with pytest.raises(ValueError, match="whole values from 0 to 255"):
            extractor(frames)
        assert torch.equal(extractor(WHOLE.float()), extractor(WHOLE.to(torch.uint8))) and len(black) == 1


@pytest.mark.parametrize("shape", [(3, 2, 40, 40), (3, 4, SIZE, SIZE), (3, SIZE, SIZE, 2), (2, SIZE, SIZE)])
def test_frames_of_another_shape_than_the_space_are_refused_where_they_come_in(shape: tuple[int, ...]) -> None:
    space = spaces.Box(0, 255, (2, SIZE, SIZE), np.uint8)
    for extractor in (
        EncoderExtractor(space, encoders.make("tcn", image_size=SIZE, channels=2)),
        MaskedConvolutions(space, None, features_dim=8),
    ):
        with pytest.raises(ValueError, match=r"observes frames of shape \(2, 36, 36\); got"):
            extractor(torch.zeros(shape, dtype=torch.uint8))
