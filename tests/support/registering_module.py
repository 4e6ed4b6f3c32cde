"""A module that registers an encoder when it is imported, as one that a user names does."""

from encoders import register
from encoders.models.pooled import Pooled


@register("encoder_of_a_module")
class OwnEncoder(Pooled):
    """Another one under a name of its own."""
