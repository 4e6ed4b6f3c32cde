"""Atari games with an attention mask."""
