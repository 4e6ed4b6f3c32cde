"""Experiments: the programs, and the suites, runs and reports behind them."""

from encoders.installation import check_whole, warn_of_others

check_whole()
warn_of_others("experiments")
