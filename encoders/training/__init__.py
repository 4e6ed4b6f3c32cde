"""Training an encoder on clips."""
