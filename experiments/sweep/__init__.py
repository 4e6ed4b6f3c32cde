"""Grids of trainings, their scores and their page."""
