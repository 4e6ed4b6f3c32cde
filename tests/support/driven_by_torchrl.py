"""A program of TorchRL's: checks environments by its own rules, plays three steps, and prints the shapes as JSON.

Its import sets how every process of a program is started, so that it has one of its own.
"""

import json
import logging

from driven_environments import SETTINGS, STEPS, imitating
from torchrl.envs import EnvBase, GymEnv, GymWrapper
from torchrl.envs.utils import check_env_specs


def shapes(env: EnvBase) -> dict[str, list[int]]:
    """The shapes of an action, a reward and all observations of three steps."""
    check_env_specs(env, seed=0)
    steps = env.rollout(STEPS)
    env.close()
    followed = {name: list(steps["next", name].shape) for name in steps["next"].keys()}  # noqa: SIM118 - no mapping
    return {"action": list(steps["action"].shape), **followed}


if __name__ == "__main__":
    logging.disable()
    found = {env_id: shapes(GymEnv(env_id, **settings)) for env_id, settings in SETTINGS.items()}
    print(json.dumps({**found, "wrapped": shapes(GymWrapper(imitating()))}))
