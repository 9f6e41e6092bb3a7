"""What the shortest commands take, from exec to exit, as multiples of `python -c pass`: turn by turn, so that all see the
same machine.

The modules have bytecode, as those of an installed program have."""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import trio

from tests.bench.common import bar, number
from tests.peers.harness import clean_environment, served

STARTS = number("STARTS", 15)
NOTHING = (sys.executable, "-c", "pass")
SCRIPT = (str(Path(sys.executable).with_name("betar-tui")),)
COMMANDS = (("status",), ("list", "--limit", "5"), ("show", "nobody/nothing"))
MISSING = 1
"""Exit code of `show` on an empty market."""


def environment(folder: Path) -> dict[str, str]:
    """The environment of what is measured; its bytecode is in the folder."""
    kept = {name: value for name, value in clean_environment().items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def milliseconds(command: Sequence[str], env: Mapping[str, str]) -> float:
    """How long a process takes."""
    start = time.perf_counter()
    result = subprocess.run(command, env=env, capture_output=True, check=False)
    took = (time.perf_counter() - start) * 1000
    if result.returncode != (MISSING if "show" in command else 0):
        raise RuntimeError(f"{command} ended with {result.returncode}: {result.stderr.decode()}")
    return took


def measure(commands: Mapping[str, Sequence[str]], env: Mapping[str, str]) -> dict[str, list[float]]:
    """Milliseconds of each command, `STARTS` times in turn after one that is not counted."""
    for command in commands.values():
        milliseconds(command, env)
    samples: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, command in commands.items():
            samples[name].append(milliseconds(command, env))
    return samples


def report(title: str, commands: Mapping[str, Sequence[str]], env: Mapping[str, str], limit: float | None) -> None:
    """Measure commands beside `python -c pass`, and print the ratios."""
    samples = measure({"": NOTHING, **commands}, env)
    nothing = statistics.median(samples.pop(""))
    for name, each in samples.items():
        bar(f"{title}{name} / python -c pass", [took / nothing for took in each], limit, "times")
        print(f"  {statistics.median(each):.0f} ms against {nothing:.0f} ms", flush=True)


def on(directory: Path) -> dict[str, Sequence[str]]:
    """The commands that read, on a data directory."""
    return {command[0]: (*SCRIPT, "--data-dir", str(directory), *command) for command in COMMANDS}


async def with_a_peer(folder: Path) -> None:
    async with served(folder / "running") as peer:
        env = environment(folder)
        await trio.to_thread.run_sync(report, "with a running peer, ", on(peer.directory), env, None)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        env = environment(folder)
        report("", {option: (*SCRIPT, option) for option in ("--version", "--help")}, env, 3)
        report("without a peer, ", on(folder / "alone"), env, None)
        trio.run(with_a_peer, folder)
