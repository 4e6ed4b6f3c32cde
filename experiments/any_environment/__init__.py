"""Imitation in any environment that Gymnasium can make and draw."""
