"""Encoders, one per file."""
