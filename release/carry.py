"""Puts libp2p into the wheel, with its licences, while setuptools builds one.

As a dependency libp2p 0.8.1 would bring packages that need a C compiler, at versions that it pins: see
docs/py-libp2p.md#what-is-not-installed. So the wheel has a copy of its own, in a folder that only this program looks
into (betar_tui/p2p/adaptations/libraries.py), and pyproject.toml asks for what the library really imports.

The copy is the wheel that the library's authors published, unchanged but for its examples: pip fetches it, from
wherever it is set up to fetch things, and refuses another than the one whose hash is given here. `pip install -e .`
carries nothing: `make` installs the library beside the checkout."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from setuptools.command.build_py import build_py

VERSION = "0.8.1"
PINNED = f"libp2p=={VERSION} --hash=sha256:3d53daa20a6a78984c9b4ed1654d771757b187282f90376d7156c2b67828b308\n"
"""The library, as a line of a requirements file."""
TAKEN = ("libp2p/", f"libp2p-{VERSION}.dist-info/")
"""Folders of its wheel that are carried: the package, and what says its version and holds its licences."""
CARRIED = Path("betar_tui", "p2p", "carried")
"""Where they are put."""


class CarryLibrary(build_py):  # type: ignore[misc]  # setuptools has no types here
    """Copies the package's files into the folder of which the wheel is made, and the library after them."""

    editable_mode: bool
    build_lib: Any

    def run(self) -> None:
        """Raises SystemExit, with what to do, if the library cannot be had."""
        super().run()
        if not self.editable_mode:
            carry(Path(self.build_lib) / CARRIED)


def carry(folder: Path) -> None:
    """Put the library into a folder. Raises SystemExit, with what to do, if it cannot be had."""
    with tempfile.TemporaryDirectory() as downloads:
        requirements = Path(downloads, "requirements.txt")
        requirements.write_text(PINNED)
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
        options = ["--require-hashes", "--only-binary=:all:", f"--dest={downloads}", f"--requirement={requirements}"]
        if subprocess.run([*pip, *options], check=False).returncode:
            raise SystemExit(
                f"pip could not fetch libp2p {VERSION}, which the wheel carries. Without a network: put its wheel into "
                "a folder, and set PIP_NO_INDEX=1 and PIP_FIND_LINKS to the folder."
            )
        (wheel,) = Path(downloads).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder, [name for name in archive.namelist() if name.startswith(TAKEN)])
