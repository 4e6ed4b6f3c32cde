"""Every encoder, one a file."""
