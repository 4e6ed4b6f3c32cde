"""Damaged files, killed runs and leaks: what must hold, tried many times over."""
