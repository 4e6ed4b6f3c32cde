"""What MuJoCo draws with: the choice of a renderer, threads, and a clean exit."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from envs import mujoco_gl
from envs.cartpole import Cartpole
from envs.mujoco_gl import RendererError, choose_renderer


def run_python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a fresh interpreter."""
    kept = {key: value for key, value in os.environ.items() if key != "MUJOCO_GL"}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**kept, **variables},
        cwd=Path(__file__).parents[2],
        check=False,
    )


@pytest.mark.parametrize("closing", ["env.close()", ""])
def test_leaves_without_a_message(closing: str) -> None:
    done = run_python(f"from envs.cartpole import Cartpole\nenv = Cartpole(image_size=32)\nenv.reset()\n{closing}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_machine_that_cannot_draw_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.delitem(sys.modules, "dm_control._render", raising=False)
    monkeypatch.setattr(mujoco_gl.ctypes.util, "find_library", lambda name: None)
    with pytest.raises(RendererError, match="apt install libegl1"):
        choose_renderer()


def test_osmesa_is_the_choice_without_egl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.delitem(sys.modules, "dm_control._render", raising=False)
    monkeypatch.setattr(mujoco_gl.ctypes.util, "find_library", lambda name: "found" if name == "OSMesa" else None)
    assert choose_renderer() == "osmesa"


def test_an_unknown_renderer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "elg")
    with pytest.raises(RendererError, match="Did you mean 'egl'"):
        choose_renderer()


def test_the_state_is_observed_where_nothing_can_be_drawn() -> None:
    code = (
        "from envs import mujoco_gl\nmujoco_gl.egl_works = lambda: False\n"
        "mujoco_gl.ctypes.util.find_library = lambda name: None\nfrom envs.cartpole import Cartpole\n"
        "print(Cartpole(pixels=False).reset()[0]['joint_positions'].shape)\nCartpole()"
    )
    done = run_python(code)
    assert done.stdout == "(3,)\n"
    assert "RendererError: MuJoCo cannot draw" in done.stderr


def in_a_thread(call: Callable[[], object]) -> None:
    errors: list[BaseException] = []

    def guarded() -> None:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]


def test_any_thread_may_draw_next_and_close() -> None:
    env, other = (Cartpole(image_size=32, stack=1) for _ in range(2))
    expected = [env.reset(seed=0)[0]["pixels"], env.step(np.ones(1, np.float32))[0]["pixels"]]
    frames = [other.reset(seed=0)[0]["pixels"]]
    in_a_thread(lambda: frames.append(other.step(np.ones(1, np.float32))[0]["pixels"]))
    np.testing.assert_array_equal(frames, expected)
    env.landmarks()
    in_a_thread(env.close)
    other.reset(seed=1)
    other.close()


def test_a_dropped_environment_frees_what_it_draws_with(monkeypatch: pytest.MonkeyPatch) -> None:
    from dm_control._render import base

    env = Cartpole(image_size=32)
    env.reset(seed=0)
    kind = type(env.physics.contexts.gl)
    free, freed = kind._platform_free, []
    monkeypatch.setattr(kind, "_platform_free", lambda context: (freed.append(1), free(context)))
    del env
    gc.collect()
    assert freed == [1]
    assert not base._CURRENT_THREAD_FOR_CONTEXT


@pytest.mark.parametrize("thread", [False, True])
def test_leaves_without_a_message_what_others_hold_or_threads_have_drawn(thread: bool) -> None:
    made = "threading.Thread(target=make)" if thread else "make()"
    code = (
        "import sys, threading\nfrom envs.cartpole import Cartpole\nkept = []\n"
        "def make():\n    env = Cartpole(image_size=32)\n    env.reset()\n    kept.extend([env, kept])\n"
        f"{made + '.start()' if thread else made}\n"
        "[each.join() for each in threading.enumerate() if each is not threading.current_thread()]\n"
        "make()\nsys.exit(3)"
    )
    done = run_python(code)
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")
