"""Video files: opened, judged whole or damaged, decoded by time, and written."""
