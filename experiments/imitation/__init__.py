"""Imitation of a video in any environment: one pipeline."""
