"""Video files: opened, judged whole or damaged, decoded by time, and written."""

from encoders.videos.video import read_video, write_video

__all__ = ["read_video", "write_video"]
