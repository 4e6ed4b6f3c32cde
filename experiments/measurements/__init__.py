"""Measurements of speed and quality, each a program of its own."""
