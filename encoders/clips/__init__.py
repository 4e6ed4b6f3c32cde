"""Clips: videos of several views, and batches drawn from them."""
