"""Stable-Baselines3 agents by name, and training that can be cut."""

from encoders.installation import warn_of_others

warn_of_others("agents")
