"""Environments, and wrappers that put embeddings into their observations."""

import gymnasium as gym

from encoders.installation import warn_of_others

warn_of_others("envs")

gym.register(id="KukaReach-v0", entry_point="envs.kuka:KukaReach")

for _task in ("swingup", "swingup_sparse", "balance", "balance_sparse"):
    gym.register(
        id=f"Cartpole{_task.title().replace('_', '')}-v0", entry_point="envs.cartpole:Cartpole", kwargs={"task": _task}
    )
