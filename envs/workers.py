"""Environments in a few worker processes, many in each."""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.connection import Connection
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import CloudpickleWrapper, DummyVecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvObs, VecEnvStepReturn

from encoders.device import CPU
from encoders.errors import is_whole
from envs.simulation import Uncopied

GUARD = "a script that starts workers needs `if __name__ == '__main__':` around what it does"
"""Advice for workers that die at the start: they import the script that started them."""


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Makes processes that are started here ignore Ctrl-C, which a terminal sends to them too.

    The process that starts them does, and ends them.
    """
    # It is started with the first process otherwise, and unblocks the signal as it does.
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _as_it_is(venv: VecEnv) -> VecEnv:
    return venv


class _Group(DummyVecEnv):
    """``DummyVecEnv`` that copies no more of the infos than their dictionaries.

    What a worker answers is pickled before the next step, which is a copy to any depth.
    """

    def step_wait(self) -> VecEnvStepReturn:
        """Steps every environment, and resets those whose episode has ended."""
        infos = []
        for index, env in enumerate(self.envs):
            observation, reward, terminated, truncated, info = env.step(self.actions[index])
            ended = terminated or truncated
            # A copy, since an environment may keep the dictionary, and wrappers here write into it.
            info = {**info, "TimeLimit.truncated": truncated and not terminated}
            if ended:
                info["terminal_observation"] = observation
                observation, self.reset_infos[index] = env.reset()
            self.buf_rews[index], self.buf_dones[index] = reward, ended
            self._save_obs(index, observation)
            infos.append(info)
        return self._obs_from_buf(), self.buf_rews.copy(), self.buf_dones.copy(), infos


def _serve(remote: Connection) -> None:
    """A worker process: receives its environments, and calls their methods by name until it is closed."""
    # Workers share the cores: one thread each, or their networks wait for one another.
    torch.set_num_threads(1)
    try:
        factories, wrap = remote.recv()
    except (EOFError, ConnectionResetError):
        return  # the parent has gone; so does the worker
    group = _Group(factories.var)
    venv: VecEnv = wrap.var(group)
    try:
        while (call := remote.recv()) is not None:
            method, arguments, keywords = call
            try:
                if method == "reset":
                    group._seeds, group._options = arguments
                    arguments = ()
                answer = getattr(venv, method)
                answer = answer(*arguments, **keywords) if callable(answer) else answer
                if method == "reset" or (method == "step" and answer[2].any()):
                    # Wrappers in the parent ask what the new episodes' resets said.
                    remote.send((answer, group.reset_infos))
                else:
                    remote.send((answer, None) if method == "step" else answer)
            except (ValueError, AttributeError) as error:
                remote.send(error)
    except (EOFError, ConnectionResetError, BrokenPipeError):
        pass  # the parent has gone; so does the worker
    finally:
        venv.close()
        remote.close()


class WorkerVecEnv(Uncopied, VecEnv):
    """Steps groups of environments in parallel processes.

    ``SubprocVecEnv`` gives every environment a process. With more environments than cores that spends
    more on switching, and on starting Python, than on stepping; here each process has a share of them.
    Vectorised wrappers can run inside the workers too, so that an encoder embeds the frames of a group
    where they were drawn, in parallel, and no pixels cross between processes.

    Args:
        factories: One function an environment, as for ``SubprocVecEnv``.
        workers: Number of processes, at most the number of environments.
        wrap: Wraps the environments of each worker; picklable.

    Raises:
        ValueError: If the number of workers is not from 1 to the number of environments.
        ChildProcessError: If a worker dies, now or at any later call.
    """

    def __init__(
        self,
        factories: Sequence[Callable[[], gym.Env[Any, Any]]],
        workers: int,
        wrap: Callable[[VecEnv], VecEnv] = _as_it_is,
    ) -> None:
        if not is_whole(workers) or not 1 <= workers <= len(factories):
            raise ValueError(
                f"workers is {workers}; it must be from 1 to the number of environments, {len(factories)}."
            )
        context = mp.get_context("spawn")
        self._slices: list[slice] = []
        self._remotes: list[Connection] = []
        self._processes: list[Any] = []
        for share in np.array_split(np.arange(len(factories)), workers):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there,), daemon=True)
            with deaf_to_interrupts():
                process.start()
            there.close()
            self._slices.append(slice(int(share[0]), int(share[-1]) + 1))
            self._remotes.append(here)
            self._processes.append(process)
        self._closed = False
        try:
            for worker, part in enumerate(self._slices):
                group = CloudpickleWrapper(list(factories[part]))
                # Not as arguments of the process: whoever starts one whose arguments fill a pipe waits for ever if it
                # dies before it has read them.
                self._pass(worker, (group, CloudpickleWrapper(wrap)))
            spaces = self._call(0, "observation_space"), self._call(0, "action_space")
        except ChildProcessError:
            self.close()
            raise
        super().__init__(len(factories), *spaces)
        self.metadata = self._call(0, "get_attr", "metadata", indices=0)[0]

    def _call(self, worker: int, method: str, *arguments: Any, **keywords: Any) -> Any:
        self._send(worker, method, *arguments, **keywords)
        return self._answers([worker])[0]

    def _send(self, worker: int, method: str, *arguments: Any, **keywords: Any) -> None:
        self._pass(worker, (method, arguments, keywords))

    def _pass(self, worker: int, message: tuple[Any, ...]) -> None:
        try:
            self._remotes[worker].send(message)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise self._death() from error

    def _answers(self, workers: Sequence[int]) -> list[Any]:
        """The answers of workers; the first error is raised after all have answered."""
        try:
            answers = [self._remotes[worker].recv() for worker in workers]
        except (EOFError, ConnectionResetError) as error:
            raise self._death() from error
        for answer in answers:
            if isinstance(answer, (ValueError, AttributeError)):
                raise answer
        return answers

    def _death(self) -> ChildProcessError:
        """How a worker died: its ends of pipes, the sentinel's too, close a moment before the process is gone."""
        closed = connection.wait([process.sentinel for process in self._processes], 1.0)
        for process in self._processes:
            if process.sentinel in closed:
                process.join(1.0)
        codes = [process.exitcode for process in self._processes if process.exitcode is not None]
        how = death_of(codes[0]) if codes else "has gone"
        return ChildProcessError(f"A worker process with environments in it {how}; if it did so as it began, {GUARD}.")

    def step_async(self, actions: NDArray[np.float32]) -> None:
        """Sends every worker its share of the actions."""
        for worker, share in enumerate(self._slices):
            self._send(worker, "step", actions[share])

    def step_wait(self) -> VecEnvStepReturn:
        """Collects what the workers observed, in the order of the environments."""
        steps = self._with_resets(self._answers(range(len(self._remotes))))
        observations, rewards, dones, infos = zip(*steps, strict=True)
        return (
            _joined(observations),
            np.concatenate(rewards),
            np.concatenate(dones),
            [info for share in infos for info in share],
        )

    def reset(self) -> VecEnvObs:
        """Resets every environment with the seeds and options set before."""
        for worker, share in enumerate(self._slices):
            self._send(worker, "reset", self._seeds[share], self._options[share])
        observations = self._with_resets(self._answers(range(len(self._remotes))))
        self._reset_seeds()
        self._reset_options()
        return _joined(observations)

    def _with_resets(self, answers: Sequence[tuple[Any, list[dict[str, Any]] | None]]) -> list[Any]:
        """What the workers observed; keeps what the resets of new episodes said."""
        for share, (_, resets) in zip(self._slices, answers, strict=True):
            if resets is not None:
                self.reset_infos[share] = resets
        return [answer for answer, _ in answers]

    def get_images(self) -> Sequence[NDArray[np.uint8] | None]:
        """What every environment renders, (H, W, 3) uint8, or None without a render mode."""
        return self.env_method("render")

    def close(self) -> None:
        """Ends the workers; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        for remote in self._remotes:
            # A worker that died has closed its end already.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                remote.send(None)
        for process in self._processes:
            process.join()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute of every environment asked for."""
        return self._each("get_attr", indices, attr_name)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Sets an attribute of every environment asked for."""
        self._each("set_attr", indices, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        """Calls a method of every environment asked for."""
        return self._each("env_method", indices, method_name, *method_args, **method_kwargs)

    def env_is_wrapped(
        self, wrapper_class: type[gym.Wrapper[Any, Any, Any, Any]], indices: VecEnvIndices = None
    ) -> list[bool]:
        """Whether each environment asked for is wrapped by a class."""
        return self._each("env_is_wrapped", indices, wrapper_class)

    def _each(self, method: str, indices: VecEnvIndices, *arguments: Any, **keywords: Any) -> list[Any]:
        """Answers of single environments, in the order asked for."""
        wanted = list(self._get_indices(indices))
        answers: dict[int, Any] = {}
        for worker, share in enumerate(self._slices):
            local = [index - share.start for index in wanted if share.start <= index < share.stop]
            if local:
                answer = self._call(worker, method, *arguments, indices=local, **keywords)
                answers.update(
                    zip((share.start + index for index in local), answer or [None] * len(local), strict=True)
                )
        return [answers[index] for index in wanted]


def vectorised(
    factories: Sequence[Callable[[], gym.Env[Any, Any]]],
    workers: int,
    wrap: Callable[[VecEnv], VecEnv],
    device: torch.device | None,
) -> VecEnv:
    """Environments stepped in processes, or in this one, with wrappers where their encoder calculates.

    On the processor each worker embeds the frames that it draws. A GPU embeds those of all workers in one batch, in the
    parent: workers with a GPU context each would fill its memory, and wait for one another.

    Args:
        factories: One function an environment.
        workers: Number of processes; 1 steps all environments in this one.
        wrap: Wraps environments; picklable if they are in workers and the encoder is on the processor.
        device: Of the encoder in the wrappers; None if there is none.
    """
    if workers == 1:
        return wrap(DummyVecEnv(list(factories)))
    if device is None or device.type == CPU:
        return WorkerVecEnv(factories, workers, wrap)
    return wrap(WorkerVecEnv(factories, workers))


def death_of(code: int) -> str:
    """How a process ended, by its exit code."""
    return f"was killed by signal {-code}" if code < 0 else f"ended with status {code}; see its message above"


def _joined(parts: Sequence[VecEnvObs]) -> VecEnvObs:
    """Observations of all groups in one array, or one array a key."""
    first = parts[0]
    if isinstance(first, dict):
        return {key: np.concatenate([part[key] for part in parts]) for key in first}  # type: ignore[call-overload]
    return np.concatenate(parts)  # type: ignore[arg-type]
