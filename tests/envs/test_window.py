"""The window that shows every step, on SDL's display without a screen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import gymnasium as gym
import numpy as np
import pygame
import pytest

from envs.cartpole import Cartpole
from envs.kuka import KukaReach
from envs.simulation import Simulation
from envs.window import WINDOW_SIZE, WindowError

MAKERS: dict[str, Callable[..., Simulation]] = {
    "kuka": lambda **settings: KukaReach(camera=None, **settings),
    "cartpole": lambda **settings: Cartpole(image_size=WINDOW_SIZE // 2, stack=1, action_repeat=2, **settings),
}


@pytest.fixture(autouse=True)
def _screenless(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    yield
    pygame.display.quit()


def shown() -> np.ndarray:
    return pygame.surfarray.array3d(pygame.display.get_surface()).transpose(1, 0, 2)


@pytest.mark.parametrize("name", MAKERS)
def test_every_step_is_shown_as_it_is_drawn(name: str) -> None:
    env = MAKERS[name](render_mode="human")
    env.reset(seed=0)
    seen = [shown()]
    env.step(np.ones(env.action_space.shape, np.float32))
    seen.append(shown())
    assert env.render() is None
    np.testing.assert_array_equal(
        shown(), env.picture().repeat(WINDOW_SIZE // len(env.picture()), 0).repeat(WINDOW_SIZE // len(env.picture()), 1)
    )
    assert seen[0].shape == (WINDOW_SIZE, WINDOW_SIZE, 3)
    assert not np.array_equal(*seen)
    env.close()
    assert not pygame.display.get_init()
    env.close()


def test_gymnasium_makes_it_without_a_wrapper_of_its_own() -> None:
    env = gym.make("KukaReach-v0", camera=None, render_mode="human")
    assert not isinstance(env, gym.wrappers.HumanRendering)
    env.reset(seed=0)
    assert shown().any()
    env.close()


@pytest.mark.parametrize("name", MAKERS)
def test_without_pygame_it_is_said_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    with pytest.raises(WindowError, match="pip install 'onlooker\\[human\\]', or use render_mode='rgb_array'"):
        MAKERS[name](render_mode="human")


def test_without_a_display_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SDL_VIDEODRIVER", "no such driver")
    with pytest.raises(WindowError, match=r"cannot open a window .*Run it where there is a display"):
        KukaReach(camera=None, render_mode="human")


def test_no_window_is_opened_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(WindowError, match="needs a display, and none of DISPLAY, WAYLAND_DISPLAY, SDL_VIDEODRIVER"):
        Cartpole(render_mode="human")
    assert not pygame.display.get_init()
