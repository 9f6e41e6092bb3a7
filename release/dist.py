"""Makes what is given to people who do not develop: `make dist`, into dist/.

- a source archive, from which `make` works as from a checkout;
- a wheel for every machine, made from that archive: `pipx install FILE`;
- one file that holds the program with everything that it needs, at the versions of constraints.txt, for machines of the
  kind that this one is of, with any CPython of `platforms.PYTHONS`. It is a zip archive that Python runs, made by pex,
  which unpacks itself into a cache when it is started for the first time."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from platforms import PYTHONS, complete_platform

ROOT = Path(__file__).parent.parent
DIST = ROOT / "dist"


def main() -> int:
    """Raises SystemExit if a tool fails, after what the tool said."""
    DIST.mkdir(exist_ok=True)
    for old in DIST.glob("betar?tui-*"):
        old.unlink()
    print("A source archive, and a wheel made from it (about half a minute):", flush=True)
    _run("build", "--outdir", str(DIST), str(ROOT))
    (wheel,) = DIST.glob("*.whl")
    version = wheel.name.split("-")[1]
    single = DIST / f"betar-tui-{version}-{sys.platform}-{platform.machine()}.pyz"
    print(
        f"One file for CPython {PYTHONS[0]} to {PYTHONS[-1]} on machines like this one (a minute or two):", flush=True
    )
    targets = [f"--complete-platform={json.dumps(complete_platform(python))}" for python in PYTHONS]
    _run(
        *("pex", str(wheel), "--constraints", str(_pins()), *targets, "--script", "betar-tui", "--venv"),
        *("--use-pip-config", "--no-compile", "--python-shebang", "/usr/bin/env python3", "--output-file", str(single)),
    )
    for file in sorted(DIST.glob("betar?tui-*")):
        print(f"{file.stat().st_size / 1e6:7.1f} MB  {file.relative_to(ROOT)}")
    return 0


def _pins() -> Path:
    """constraints.txt without libp2p, which the wheel carries."""
    pins = ROOT / "build" / "pins.txt"
    pins.parent.mkdir(exist_ok=True)
    lines = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
    pins.write_text("".join(line for line in lines if not line.startswith("libp2p==")))
    return pins


def _run(module: str, *arguments: str) -> None:
    """Run a tool. What it prints, hundreds of lines, is shown only if it fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, env=environment)
    if done.returncode:
        sys.stdout.buffer.write(done.stdout)
        raise SystemExit(f"{module} failed")


if __name__ == "__main__":
    raise SystemExit(main())
