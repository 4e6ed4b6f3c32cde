"""What a distance is worth: rewards as pure functions, and wrappers over them."""
