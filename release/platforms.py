"""The kinds of machine that wheels are asked for and that a single file is made for."""

from __future__ import annotations

import platform
import sys
from dataclasses import dataclass

from packaging import tags
from packaging.markers import default_environment

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
"""Versions of CPython that everything must be built for."""
_OLDEST_GLIBC = 28
"""Minor version of the C library, 2.28, that a single file needs: that of Debian 10 and RHEL 8."""
_GLIBC = range(34, 4, -1)
"""Minor versions of the C library that wheels are built against; pip takes each of those that are named."""


@dataclass(frozen=True, slots=True)
class Platform:
    """A kind of machine: its title, pip's names for what runs on it, and what markers are judged by."""

    title: str
    tags: tuple[str, ...]
    system: str
    machine: str

    def markers(self, python: str) -> dict[str, str]:
        """What markers are judged by there, with a version of Python as "3.11"."""
        return {
            "python_version": python,
            "python_full_version": f"{python}.0",
            "sys_platform": self.system,
            "platform_system": self.system.capitalize(),
            "platform_machine": self.machine,
        }


def manylinux(machine: str, newest: int = _GLIBC[0]) -> tuple[str, ...]:
    """pip's names for Linux with the C library 2.`newest`, the newest first."""
    old = (f"manylinux2010_{machine}", f"manylinux1_{machine}") if machine == "x86_64" else ()
    names = (f"manylinux_2_{minor}_{machine}" for minor in _GLIBC if minor <= newest)
    return (*names, f"manylinux2014_{machine}", *old)


PLATFORMS = (
    Platform("Linux x86-64", manylinux("x86_64"), "linux", "x86_64"),
    Platform("Linux aarch64", manylinux("aarch64"), "linux", "aarch64"),
    Platform("macOS arm64", ("macosx_14_0_arm64",), "darwin", "arm64"),
)


def complete_platform(python: str) -> dict[str, object]:
    """What pex has to know of machines like this one, with a version of Python as "3.11"."""
    version = tuple(map(int, python.split(".")))
    interpreter = f"cp{python.replace('.', '')}"
    names = list(tags.platform_tags())
    if sys.platform == "linux":
        names = [*manylinux(platform.machine(), _OLDEST_GLIBC), f"linux_{platform.machine()}"]
    found = [*tags.cpython_tags(version, [interpreter], names), *tags.compatible_tags(version, interpreter, names)]
    markers = {name: str(value) for name, value in default_environment().items() if name not in _OF_ONE_MACHINE}
    markers |= {"python_version": python, "python_full_version": f"{python}.0", "implementation_version": f"{python}.0"}
    return {"marker_environment": markers, "compatible_tags": list(map(str, found))}


_OF_ONE_MACHINE = ("platform_release", "platform_version")
"""Markers that differ between machines of one kind."""
