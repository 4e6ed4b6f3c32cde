"""What other packages add: modules that a user names, and entry points of installed packages."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

Entry = TypeVar("Entry")

VARIABLE = "ONLOOKER_PLUGINS"
"""Variable of the environment with the modules that were named, by commas: processes that are started know them too."""


class Importing:
    """Turns whatever is raised while somebody else's module is imported into a user's error that names it.

    Args:
        module: Its name.
        flag: What asked for it.
    """

    def __init__(self, module: str, flag: str) -> None:
        self._module = module
        self._flag = flag

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # A script that ends the program as it is imported would end this one without a word.
        if isinstance(error, Exception | SystemExit):
            raise ValueError(
                f"{self._flag} imports {self._module!r}, which fails: {type(error).__name__}: {error}. Install it, or "
                "mend it."
            ) from error


def import_named(module: str, flag: str) -> None:
    """Imports a module that the user names; it may lie in the current folder.

    Args:
        module: Its name, with dots.
        flag: What asked for it.

    Raises:
        ValueError: If it is no name of a module, is not there, or raises something.
    """
    if module.endswith(".py") or not all(part.isidentifier() for part in module.split(".")):
        raise ValueError(
            f"{flag} names {module!r}; name a module as `import` does, such as my_package.my_encoder: dots, no folders "
            "and no .py."
        )
    here = str(Path.cwd())
    # Last, so that no file there hides an installed module. Processes that are started get this path too.
    if here not in sys.path:
        sys.path.append(here)
    with Importing(module, flag):
        importlib.import_module(module)


def use(modules: Sequence[str]) -> None:
    """Imports modules that register something, here and in all processes that are started from now on.

    Args:
        modules: Their names.

    Raises:
        ValueError: If one cannot be imported.
    """
    for module in modules:
        import_named(module, "--plugin")
    if modules:
        os.environ[VARIABLE] = ",".join(dict.fromkeys([*named(), *modules]))


def named() -> list[str]:
    """The modules that this process was told to import."""
    return [module for module in os.environ.get(VARIABLE, "").split(",") if module]


def import_plugins() -> None:
    """Imports what was named where this process was started, unless it is imported or about to be."""
    for module in named():
        if module not in sys.modules:
            import_named(module, VARIABLE)


@dataclass(frozen=True)
class Kind(Generic[Entry]):
    """A kind of thing that other packages add by name.

    Attributes:
        what: One of them, as the user calls it; their entry points are in the group ``onlooker.WHATs``.
        needs: What an entry point must give, in words.
        fits: Whether a value is that.
        definer: The class or function that tells where one was defined.
    """

    what: str
    needs: str
    fits: Callable[[Any], bool]
    definer: Callable[[Entry], object]

    @property
    def group(self) -> str:
        """Name of its group of entry points."""
        return f"onlooker.{self.what}s"

    def add(self, table: MutableMapping[str, Entry], name: str, entry: Entry) -> None:
        """Makes one known by a name; a second time changes nothing.

        Raises:
            ValueError: If another one has the name; it says where both are defined.
        """
        taken = table.setdefault(name, entry)
        if taken is not entry:
            raise ValueError(
                f"The {self.what} name {name!r} is taken by {_place(self.definer(taken))}; "
                f"{_place(self.definer(entry))} cannot have it too: choose another."
            )


class Known(Mapping[str, Entry]):
    """All of a kind by name: what is registered, and what installed packages offer, which is loaded when it is got.

    Args:
        kind: Which kind.
        table: What is registered.
        register: Registers one by its name.

    Raises:
        ValueError: Where a module that was named cannot be imported. Where one is got: if two packages offer it, or
            the one that does cannot be loaded, gives something else, or something else has the name.
    """

    def __init__(self, kind: Kind[Entry], table: Mapping[str, Entry], register: Callable[[str, Entry], object]) -> None:
        self._kind = kind
        self._table = table
        self._register = register

    def __getitem__(self, name: str) -> Entry:
        import_plugins()
        offers = [offer for offer in self._offers() if offer.name == name]
        if len(offers) > 1:
            raise ValueError(
                f"The {self._kind.what} name {name!r} is taken by {' and by '.join(map(_package, offers))}; uninstall "
                "all but one."
            )
        for offer in offers:
            who = f"The {self._kind.what} {name!r} of {_package(offer)}"
            with Importing(offer.value, who):
                entry = offer.load()
            if not self._kind.fits(entry):
                raise ValueError(f"{who} is {entry!r}; its entry point must give {self._kind.needs}.")
            try:
                self._register(name, entry)
            except ValueError as error:
                raise ValueError(f"{who} cannot be used: {error}") from error
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        import_plugins()
        return iter(dict.fromkeys([*self._table, *(offer.name for offer in self._offers())]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __contains__(self, name: object) -> bool:
        return name in list(iter(self))

    def _offers(self) -> tuple[EntryPoint, ...]:
        return _offers(self._kind.group, tuple(sys.path))


@cache
def _offers(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """Entry points of a group, looked for once on a path: that reads a file of every installed package."""
    return tuple(entry_points(group=group))


def _package(offer: EntryPoint) -> str:
    """The package that an entry point comes with."""
    assert offer.dist is not None  # it was found in one
    return f"the package {offer.dist.name} {offer.dist.version} ({offer.value})"


def _place(definer: Any) -> str:
    """Where a class or function is defined."""
    while isinstance(definer, partial):
        definer = definer.func
    named = definer if hasattr(definer, "__qualname__") else type(definer)
    name, module = named.__qualname__, named.__module__
    # Functions without a name have none worth telling.
    return str(module) if "<lambda>" in name else f"{name} of {module}"
