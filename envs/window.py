"""A window that shows frames as they are drawn, through pygame."""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

WINDOW_SIZE = 480
"""Width and height of the window, pixels."""

DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")
"""Environment variables of Linux, one of which names a display."""


class WindowError(ValueError):
    """No window can be opened here."""


class Window:
    """Shows frames at their frame rate; pygame has one window a process.

    Args:
        title: What its bar says.
        fps: Frames a second at most.

    Raises:
        WindowError: If pygame is not installed, or there is no display.
    """

    def __init__(self, title: str, fps: float) -> None:
        try:
            import pygame
        except ImportError as error:
            raise WindowError(
                "render_mode 'human' opens a window through pygame, which is not installed. Run: "
                "pip install 'onlooker[human]', or use render_mode='rgb_array'."
            ) from error
        # SDL would draw for nobody then, with EGL, and end the display that MuJoCo draws with when it is done.
        if sys.platform == "linux" and not any(os.environ.get(name) for name in DISPLAYS):
            raise WindowError(
                f"render_mode 'human' needs a display, and none of {', '.join(DISPLAYS)} is set. Run it where there is "
                "one, or use render_mode='rgb_array'."
            )
        self._pygame: Any = pygame
        self._fps = fps
        try:
            pygame.display.init()
            self._surface = pygame.display.set_mode((WINDOW_SIZE, WINDOW_SIZE))
        except pygame.error as error:
            raise WindowError(
                f"render_mode 'human' cannot open a window ({error}). Run it where there is a display, or use "
                "render_mode='rgb_array'."
            ) from error
        pygame.display.set_caption(title)
        self._clock = pygame.time.Clock()

    def show(self, frame: NDArray[np.uint8]) -> None:
        """Shows a frame, (S, S, 3) uint8 RGB, as large as the window, and waits until the next is due."""
        picture = self._pygame.surfarray.make_surface(frame.transpose(1, 0, 2))
        self._surface.blit(self._pygame.transform.scale(picture, (WINDOW_SIZE, WINDOW_SIZE)), (0, 0))
        # Whoever does not ask for events is taken for hung by the desktop.
        self._pygame.event.pump()
        self._pygame.display.flip()
        self._clock.tick(self._fps)

    def close(self) -> None:
        """Closes the window."""
        self._pygame.display.quit()
