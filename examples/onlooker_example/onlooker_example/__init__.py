"""An encoder and an environment for Onlooker, in a package of their own."""

import gymnasium as gym

gym.register("PushedPoint-v0", "onlooker_example.environment:PushedPoint", max_episode_steps=50)
