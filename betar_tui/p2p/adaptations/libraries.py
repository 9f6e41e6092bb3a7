"""Where Python finds the library, and what it finds in place of packages that the library imports and nobody needs.

py-libp2p 0.8.1: it pins coincurve and fastecdsa to releases that are not built for every machine, and imports
miniupnpc whether or not a port is to be mapped (docs/py-libp2p.md#what-is-not-installed). `prepare`, which
`betar_tui.p2p` calls before anything else, gives it `adaptations.curves` for the first two and, where that is not
installed, something that fails when it is used for the third.

A wheel of this program carries the library, in `CARRIED`: as a dependency it would bring its pins. That copy is found
before any other, and by this process alone, so another version may be installed as well. A checkout that `make` set up
carries none, and has the library installed. Nothing is imported here but what every process has imported already."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.metadata import Distribution, DistributionFinder
    from types import ModuleType
    from typing import Any

CARRIED = Path(__file__).parent.parent / "carried"
"""The folder of a wheel's own copy of the library and its metadata: see release/carry.py."""
LIBRARY = "libp2p"

STAND_INS: dict[str, tuple[str, ...]] = {
    "coincurve": ("PrivateKey", "PublicKey"),
    "fastecdsa": (),
    "fastecdsa.curve": ("Curve", "P256"),
    "fastecdsa.encoding": (),
    "fastecdsa.encoding.sec1": ("SEC1Encoder",),
    "fastecdsa.encoding.util": ("int_bytelen",),
    "fastecdsa.keys": ("PEMEncoder", "export_key", "gen_private_key", "get_public_key"),
    "fastecdsa.point": ("Point",),
}
"""Names that `adaptations.curves` has of each module of the two packages."""
PORT_MAPPING = "miniupnpc"
WITHOUT_PORT_MAPPING = (
    "no port is forwarded: that needs miniupnpc, which is not installed; with pipx: pipx inject betar-tui miniupnpc, "
    "otherwise pip install miniupnpc, with the pip that is where the program is"
)
"""What a person reads who asks for a port to be forwarded."""


class MissingPackage(ImportError):
    """A package was used that is not installed."""


class _NoRouter:
    """In place of `miniupnpc.UPnP`."""

    def __init__(self) -> None:
        raise MissingPackage(WITHOUT_PORT_MAPPING)


class CarriedLibrary:
    """A finder of the library in a folder, for `sys.meta_path`."""

    def __init__(self, folder: Path = CARRIED) -> None:
        self._path = [str(folder)]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The library, if the folder has it."""
        return PathFinder.find_spec(name, self._path) if name == LIBRARY else None

    def find_distributions(self, context: DistributionFinder.Context) -> Iterable[Distribution]:
        """The library's metadata, from which it reads its own version."""
        if context.name != LIBRARY:
            return ()
        from importlib.metadata import DistributionFinder, MetadataPathFinder

        return MetadataPathFinder.find_distributions(DistributionFinder.Context(name=LIBRARY, path=self._path))


class _Ordinary:
    """What loaders have in common that fill an ordinary module."""

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """An ordinary module will do."""
        return None


class Curves(_Ordinary):
    """A finder and loader of `STAND_INS`, for `sys.meta_path`."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module of the two packages, whether or not they are installed."""
        return _spec(name, self) if name in STAND_INS else None

    def exec_module(self, module: ModuleType) -> None:
        """Give a module its names."""
        from betar_tui.p2p.adaptations import curves

        for name in STAND_INS[module.__name__]:
            setattr(module, name, getattr(curves, name))


class NoPortMapping(_Ordinary):
    """A finder and loader of `PORT_MAPPING`, to be asked when nothing else has found it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """A module that fails when it is used."""
        return _spec(name, self) if name == PORT_MAPPING else None

    def exec_module(self, module: ModuleType) -> None:
        """Give it the only name that is used."""
        module.UPnP = _NoRouter  # type: ignore[attr-defined]


def _spec(name: str, loader: Any) -> ModuleSpec:
    return ModuleSpec(name, loader, is_package=True)


def can_map_ports() -> bool:
    """Whether miniupnpc itself is installed."""
    return PathFinder.find_spec(PORT_MAPPING) is not None


def prepare() -> None:
    """Put the finders in place, once."""
    if not any(isinstance(each, CarriedLibrary) for each in sys.meta_path):
        sys.meta_path[:] = [CarriedLibrary(), Curves(), *sys.meta_path, NoPortMapping()]
