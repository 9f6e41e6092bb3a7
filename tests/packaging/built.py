"""A wheel and a source archive of this checkout, built once for each run of the tests, and environments to install into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
NOT_COPIED = shutil.ignore_patterns(
    ".git", ".venv", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis", "node_modules", "mutants"
)
SECONDS = 110.0
"""Maximum seconds for a step that fetches packages."""
NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false"}


@cache
def project() -> dict[str, Any]:
    """The table [project] of pyproject.toml."""
    read: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return read


def pins() -> list[str]:
    """The lines of constraints.txt."""
    return [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line.strip()]


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """What a command prints, with no compiler to be found; fails with its errors."""
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=SECONDS, check=False,
        env={**os.environ, **NO_COMPILER, "PYTHONPATH": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def need_packages(folder: Path) -> None:
    """Skip the test if pip reaches no packages, as on a machine without a network."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", f"--dest={folder}", "libp2p==0.8.1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        pytest.skip(f"pip fetches nothing: {done.stderr.strip().splitlines()[-1:]}")


@dataclass(frozen=True, slots=True)
class Built:
    """What was built."""

    wheel: Path
    archive: Path


def build(folder: Path) -> Built:
    """A source archive, and a wheel made from it, as `make dist` makes them."""
    need_packages(folder / "downloads")
    source, dist = folder / "source", folder / "dist"
    shutil.copytree(ROOT, source, ignore=NOT_COPIED)
    run(sys.executable, "-m", "build", "--outdir", dist, source)
    (wheel,), (archive,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    return Built(wheel, archive)


def environment(folder: Path, *, others: bool) -> Path:
    """The `bin` of a new environment. With `others` it sees the packages of this one, too."""
    run(sys.executable, "-m", "venv", folder)
    if others:
        (packages,) = folder.glob("lib/python*/site-packages")
        (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"
