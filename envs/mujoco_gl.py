"""The OpenGL backend of MuJoCo, chosen by what the machine has, before MuJoCo is imported."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from typing import Any

from encoders.errors import check_choice

VARIABLE = "MUJOCO_GL"
"""The environment variable that dm_control reads when it is imported."""

NOTHING = "disable"

RENDERERS = ("egl", "osmesa", "glfw", NOTHING)

_CANNOT = (
    "MuJoCo cannot draw: neither EGL nor OSMesa works here, or MUJOCO_GL=disable says so. Install one of them "
    "(Debian, Ubuntu: apt install libegl1 libgl1-mesa-dri, or apt install libosmesa6), or observe the state alone: "
    "pixels=False."
)

_PLATFORM_DEVICE = 0x313F


class RendererError(ValueError):
    """This machine cannot draw."""


def choose_renderer(drawn: bool = True) -> str:
    """Chooses the backend and sets it for dm_control, which must not have been imported yet.

    A graphics processor draws through EGL; without one Mesa does in software, through EGL or OSMesa. Mesa is told to
    draw in the calling thread: handing a frame of a few thousand pixels to others takes longer than drawing it.

    Args:
        drawn: Whether anything will be; if not, a machine that cannot draw will do.

    Returns:
        ``egl``, ``osmesa``, ``glfw`` or ``disable``.

    Raises:
        RendererError: If neither EGL nor OSMesa works here, or ``MUJOCO_GL`` names something else.
    """
    os.environ.setdefault("LP_NUM_THREADS", "0")
    asked = os.environ.get(VARIABLE, "").lower()
    if asked:
        try:
            check_choice(f"renderer in {VARIABLE}", asked, RENDERERS)
        except ValueError as error:
            raise RendererError(str(error)) from error
        if asked == NOTHING and drawn:
            raise RendererError(_CANNOT)
        return asked
    if "dm_control._render" in sys.modules:
        raise RendererError(f"dm_control was imported before envs.cartpole; set {VARIABLE}=egl, or import it after.")
    found = "egl" if egl_works() else "osmesa" if ctypes.util.find_library("OSMesa") else NOTHING
    if found == NOTHING and drawn:
        raise RendererError(_CANNOT)
    os.environ[VARIABLE] = found
    return found


def let_go(context: Any) -> None:
    """Releases a dm_control context from this thread, so that any thread can draw with it or free it.

    A context that stays with the thread that drew last can be used by no other, and not be freed when that thread has
    ended. dm_control has no call for it: the tables are those that its ``make_current`` keeps.

    Args:
        context: An OpenGL context of dm_control, as ``physics.contexts.gl``.
    """
    from dm_control._render import base

    thread = context.thread
    if base._CURRENT_CONTEXT_FOR_THREAD.get(thread) != id(context):
        return
    if os.environ[VARIABLE] == "egl":
        from dm_control._render.pyopengl import egl_renderer

        egl = egl_renderer.EGL
        egl.eglMakeCurrent(egl_renderer.EGL_DISPLAY, egl.EGL_NO_SURFACE, egl.EGL_NO_SURFACE, egl.EGL_NO_CONTEXT)
    elif os.environ[VARIABLE] == "osmesa":
        from OpenGL import GL, osmesa

        osmesa.OSMesaMakeCurrent(None, None, GL.GL_FLOAT, 0, 0)
    else:
        return  # GLFW draws in a thread of its own, whoever asks
    del base._CURRENT_CONTEXT_FOR_THREAD[thread], base._CURRENT_THREAD_FOR_CONTEXT[id(context)]


def egl_works() -> bool:
    """Whether an EGL display can be opened, on a GPU or in software."""
    name = ctypes.util.find_library("EGL")
    if name is None:
        return False
    egl = ctypes.CDLL(name)
    egl.eglGetDisplay.restype = egl.eglGetProcAddress.restype = ctypes.c_void_p
    egl.eglGetDisplay.argtypes = [ctypes.c_void_p]
    egl.eglInitialize.argtypes = [ctypes.c_void_p] * 3
    displays = [*_device_displays(egl), egl.eglGetDisplay(None)]
    return any(display and egl.eglInitialize(display, None, None) for display in displays)


def _device_displays(egl: ctypes.CDLL) -> list[int]:
    """The displays of all devices; dm_control takes the first that opens."""
    query = egl.eglGetProcAddress(b"eglQueryDevicesEXT")
    get = egl.eglGetProcAddress(b"eglGetPlatformDisplayEXT")
    if not query or not get:
        return []
    pointers, count = (ctypes.c_void_p * 16)(), ctypes.c_int(0)
    functions = ctypes.CFUNCTYPE(ctypes.c_uint, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    if not functions(query)(len(pointers), ctypes.addressof(pointers), ctypes.addressof(count)):
        return []
    display_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p)(get)
    return [display_of(_PLATFORM_DEVICE, pointer, None) for pointer in pointers[: count.value]]
