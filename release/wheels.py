"""Asks pip for which machines every package is built: `make wheels`.

For each version of CPython and each platform of TARGETS pip chooses a file for every package, as it would on that
machine, without installing anything. Asked about are the packages that constraints.txt pins, which `make` installs, and
then the newest ones that pyproject.toml allows, which `pip install` and `pipx install` choose today.

A cell of the table names what the file is built for: `any` machine, one version of Python as `cp313`, or every one
since some version as `abi3`. `pure` is a source archive that becomes a wheel for any machine without a compiler. `-` is
a package that is not installed there. `NONE` means that a compiler would be needed: then the exit code is 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from functools import cache
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename
from platforms import PLATFORMS, PYTHONS, Platform

ROOT = Path(__file__).parent.parent
NONE, PURE, ABSENT = "NONE", "pure", "-"
_WIDTH = 6
"""Number of characters of a cell."""
TARGETS = tuple((platform, python) for platform in PLATFORMS for python in PYTHONS)


def main() -> int:
    """Prints the tables. The exit code is 1 if a package has no wheel somewhere."""
    pinned = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line.strip()]
    print("The packages that constraints.txt pins:\n", flush=True)
    missing = _report(pinned)
    newest = [each for each in _resolved() if str(each) not in set(map(str, pinned))]
    print("\nThe newest ones that pyproject.toml allows, where they are others:\n", flush=True)
    missing += _report(newest) if newest else []
    print(f"\nWithout a wheel: {', '.join(missing)}" if missing else "\nEvery package is built for all of these.")
    return 1 if missing else 0


def _report(packages: list[Requirement]) -> list[str]:
    """Prints a table of packages, and returns those that have no wheel somewhere."""
    cells: dict[str, list[str]] = {_title(each): [] for each in packages}
    for platform, python in TARGETS:
        wanted = [each for each in packages if _is_installed(each, platform, python)]
        files = _chosen(wanted, platform, python)
        for each in packages:
            found = _kind(each, files[canonicalize_name(each.name)]) if each in wanted else ABSENT
            cells[_title(each)].append(found)
    width = max(map(len, cells))
    group = _WIDTH * len(PYTHONS)
    print(" " * width, *(f"{platform.title:{group}}" for platform in PLATFORMS), sep="  ")
    print(" " * width, *("".join(f"{python:{_WIDTH}}" for python in PYTHONS) for _ in PLATFORMS), sep="  ")
    for title, row in cells.items():
        groups = (row[start : start + len(PYTHONS)] for start in range(0, len(row), len(PYTHONS)))
        print(f"{title:{width}}", *("".join(f"{cell:{_WIDTH}}" for cell in each) for each in groups), sep="  ")
    return [title for title, row in cells.items() if NONE in row]


def _title(package: Requirement) -> str:
    return f"{package.name} {str(package.specifier).removeprefix('==')}"


def _is_installed(package: Requirement, platform: Platform, python: str) -> bool:
    """Whether the marker of a package holds there. pip judges markers by the machine that it runs on."""
    return package.marker is None or package.marker.evaluate(platform.markers(python))


def _pip(*arguments: str) -> str:
    """What pip prints. Raises SystemExit if it fails: it has then said why."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip failed: {' '.join(command[:4])} …")
    return done.stdout


def _files(report: str) -> dict[str, tuple[str, str]]:
    """The version and the file name of each package of one of pip's reports."""
    found = {}
    for each in json.loads(report)["install"]:
        name, url = canonicalize_name(each["metadata"]["name"]), each["download_info"]["url"]
        found[str(name)] = each["metadata"]["version"], url.partition("#")[0].rpartition("/")[2]
    return found


def _chosen(packages: list[Requirement], platform: Platform, python: str) -> dict[str, str]:
    """The file name that pip chooses there for each package: an archive of its source where no wheel fits."""
    with tempfile.TemporaryDirectory() as folder:
        requirements = Path(folder, "requirements.txt")
        requirements.write_text("".join(f"{each.name}{each.specifier}\n" for each in packages))
        report = _pip(
            *("install", "--quiet", "--dry-run", "--ignore-installed", "--no-deps", "--report=-", f"--target={folder}"),
            *(f"--platform={tag}" for tag in platform.tags),
            *(f"--python-version={python}", "--implementation=cp", f"--requirement={requirements}"),
        )
    return {name: file for name, (_, file) in _files(report).items()}


def _resolved() -> list[Requirement]:
    """The packages that pip chooses on this machine for the program as it is declared, without anything pinned."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    report = _pip("install", "--quiet", "--dry-run", "--ignore-installed", "--report=-", *declared)
    return [Requirement(f"{name}=={version}") for name, (version, _) in sorted(_files(report).items())]


def _kind(package: Requirement, file: str) -> str:
    """The cell of a package for which pip has chosen a file."""
    if file.endswith(".whl"):
        tags = parse_wheel_filename(file)[3]
        tag = next(iter(tags))
        return "any" if tag.platform == "any" else "abi3" if tag.abi == "abi3" else tag.interpreter
    return PURE if _becomes_pure(_title(package).replace(" ", "==")) else NONE


@cache
def _becomes_pure(package: str) -> bool:
    """Whether a source archive becomes a wheel for any machine here, with no compiler to be found."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", f"--wheel-dir={folder}", package]
        environment = {**os.environ, "CC": "/bin/false", "CXX": "/bin/false"}
        done = subprocess.run(command, capture_output=True, check=False, env=environment)
        return done.returncode == 0 and all(file.name.endswith("-none-any.whl") for file in Path(folder).iterdir())


if __name__ == "__main__":
    raise SystemExit(main())
