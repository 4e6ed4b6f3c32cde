"""What all runs share: folder, training, encoder, command line."""
