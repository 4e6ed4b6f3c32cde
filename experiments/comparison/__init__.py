"""Encoders compared on clips."""
