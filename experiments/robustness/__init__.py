"""Robustness checks: damaged files, killed runs and leaks, many times over."""
