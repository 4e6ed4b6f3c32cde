"""The Kuka arm imitates a video."""
