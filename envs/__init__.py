"""The worlds, and the wrappers that put embeddings into their observations."""

import gymnasium as gym

gym.register(id="KukaReach-v0", entry_point="envs.kuka:KukaReach")
