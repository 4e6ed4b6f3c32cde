"""The pipeline of every imitation."""
