"""Rewards of distances: pure functions, and wrappers over them."""

from encoders.installation import warn_of_others

warn_of_others("rewards")
