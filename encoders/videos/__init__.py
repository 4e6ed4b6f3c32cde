"""Video files: opening, checking for damage, decoding by time, and writing."""

from encoders.videos.video import read_video, write_video

__all__ = ["read_video", "write_video"]
