"""Everything put together."""

from encoders.installation import check_whole, warn_of_others

check_whole()
warn_of_others("experiments")
