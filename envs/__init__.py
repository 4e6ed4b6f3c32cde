"""The worlds, and the wrappers that put embeddings into their observations."""

import gymnasium as gym

from encoders.installation import warn_of_others

warn_of_others("envs")

gym.register(id="KukaReach-v0", entry_point="envs.kuka:KukaReach")
