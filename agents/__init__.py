"""Stable-Baselines3 agents by name, and training that can be cut."""
