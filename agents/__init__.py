"""Stable-Baselines3 agents by name, and training that can be interrupted and resumed."""

from encoders.installation import warn_of_others

warn_of_others("agents")
