"""What is declared, what is pinned and what is imported agree."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from betar_tui.p2p.adaptations.register import VERSION
from tests.packaging.built import ROOT, pins, project

PINNED = {canonicalize_name(each.name): each for each in map(Requirement, pins())}
DEV = project()["optional-dependencies"]["dev"]
UNNEEDED = ("coincurve", "fastecdsa", "grpcio", "lru-dict", "miniupnpc", "mypy-protobuf", "rpcudp", "types-requests")
"""What libp2p 0.8.1 asks for and the program does without."""


def needed(requirements: list[str]) -> dict[str, set[str]]:
    """Every package that the requirements lead to, as installed here, and the version that each is asked to have."""
    found: dict[str, set[str]] = {}
    left = [Requirement(each) for each in requirements]
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        known = name in found
        found.setdefault(name, set()).add(str(requirement.specifier))
        if known and not requirement.extras:
            continue
        for extra in ("", *requirement.extras):
            for each in map(Requirement, importlib.metadata.requires(name) or ()):
                if each.marker is None or (each.marker.evaluate({"extra": extra}) and (extra or not known)):
                    left.append(each)
    return found


def test_everything_that_is_declared_is_pinned_as_it_is_asked_for() -> None:
    wrong = {}
    for name, specifiers in needed([*project()["dependencies"], *DEV]).items():
        pin = PINNED.get(name)
        for specifier in specifiers:
            version = str(pin.specifier).removeprefix("==") if pin else ""
            if pin is None or not Requirement(f"x{specifier}").specifier.contains(version, prereleases=True):
                wrong[name] = specifier
    assert not wrong


def test_nothing_is_pinned_that_nobody_asks_for() -> None:
    asked = set(needed([*project()["dependencies"], *DEV]))
    assert set(PINNED) - asked == {"libp2p", "miniupnpc"}  # carried by a wheel; an extra


def test_nothing_that_needs_a_compiler_is_asked_for() -> None:
    runtime = set(needed(project()["dependencies"]))
    assert not runtime & {*UNNEEDED, "libp2p"}
    assert [str(pin.marker) for name, pin in PINNED.items() if name in UNNEEDED] == ['python_version < "3.14"']


def test_the_library_has_one_version() -> None:
    carried = re.search(r'VERSION = "([\d.]+)"', (ROOT / "release" / "carry.py").read_text())
    assert carried is not None
    assert carried[1] == VERSION == str(PINNED["libp2p"].specifier).removeprefix("==")


def test_every_machine_is_named_for_which_wheels_are_asked_for() -> None:
    pythons = re.search(r"PYTHONS = \((.*)\)", (ROOT / "release" / "platforms.py").read_text())
    assert pythons is not None
    named = [each.rpartition(" ")[2] for each in project()["classifiers"] if re.search(r":: 3\.\d+$", each)]
    assert re.findall(r"3\.\d+", pythons[1]) == named


PROGRAM = """
import sys
from importlib.machinery import PathFinder

class Poorer:
    find_distributions = PathFinder.find_distributions

    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in {missing} else PathFinder.find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = Poorer
import betar_tui.p2p.network
import betar_tui.__main__, betar_tui.demo, betar_tui.peer.peer, betar_tui.serving, betar_tui.tui.app
print(*(name for name in sys.modules if "." not in name))
"""


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """The packages, as they are imported, of a process that has everything of the program, and nothing unneeded."""
    missing = ("coincurve", "fastecdsa", "grpc", "lru", "miniupnpc", "mypy_protobuf", "rpcudp", "umsgpack")
    program = PROGRAM.format(missing=missing)
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


def test_the_program_imports_nothing_that_it_does_not_ask_for(imported: set[str]) -> None:
    asked = {*needed(project()["dependencies"]), "libp2p", "betar-tui"}
    # httpx has a command of its own where click is installed; setuptools puts itself into every process.
    optional = {"click", "_distutils_hack"}
    homes = importlib.metadata.packages_distributions()
    foreign = {name: set(map(canonicalize_name, homes[name])) for name in imported if name in homes}
    stand_ins = {"coincurve", "fastecdsa", "miniupnpc"}
    assert not {name for name, home in foreign.items() if not home & asked} - optional - stand_ins
    assert stand_ins <= imported
