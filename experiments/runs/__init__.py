"""A run's life, whatever it runs: its folder, its training, its encoder, its command line."""
