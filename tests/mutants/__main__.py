"""Change the pure code in a few hundred places, one at a time, and count how often the tests notice.

    python -m tests.mutants [COUNT]

mutmut makes every mutant of a room and runs each against the room's own tests only: a mutant that another room's tests
happen to catch is a gap in this one. Of all mutants a sample is drawn, uniformly and from a fixed seed, so that a
module counts as much as its size and two runs of the same code agree. Each room is tested in a copy under
`build/mutants/`, which mutmut also uses as its cache; `mutmut show NAME` in there prints a survivor as a diff.
"""

import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "mutants"
COPIED = ("betar_tui", "tests", "docs", "README.md", "CONTRIBUTING.md")
COUNT = 200
SEED = 20261130
WORKERS = 2

SURVIVED = 0
STATUS = {SURVIVED: "survived", 1: "caught", 3: "caught", 5: "no tests", 33: "no tests", 34: "skipped"}
"""What mutmut's exit codes mean; any other is a crash or a time-out, which counts as caught."""


@dataclass(frozen=True)
class Room:
    """A part of the code that is tested by itself. `code` and `left_out` are patterns of files, `tests` paths."""

    name: str
    code: tuple[str, ...]
    tests: tuple[str, ...]
    left_out: tuple[str, ...] = ()


ROOMS = (
    Room("replica", ("betar_tui/replica/*.py",), ("tests/replica", "tests/ipld")),
    Room(
        "market",
        ("betar_tui/market/*.py",),
        ("tests/market",),
        left_out=("betar_tui/market/hub.py", "betar_tui/market/seller.py"),  # async; tested through a peer
    ),
    Room(
        "bitswap",
        ("betar_tui/p2p/bitswap/wants.py", "betar_tui/p2p/bitswap/ledger.py"),
        ("tests/p2p/test_wants.py", "tests/p2p/test_bitswap.py"),
    ),
    Room("merging", ("betar_tui/store/merging.py",), ("tests/store",)),
    Room("wire", ("betar_tui/control/wire.py",), ("tests/control",)),
)


def lay_out(room: Room) -> Path:
    """A copy of the project, set up for one room; what mutmut remembers of an earlier run is removed."""
    folder = BUILD / room.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, folder / name)
    settings = {
        "source_paths": ["betar_tui"],
        "only_mutate": list(room.code),
        "do_not_mutate": list(room.left_out),
        "pytest_add_cli_args_test_selection": list(room.tests),
        # Counting calls makes the code several times as slow: no test that bounds its time is run.
        "pytest_add_cli_args": ["-m", "not slow", "-k", "not in_time and not large_delete", "-p", "no:cacheprovider"],
        "also_copy": [name for name in COPIED if name != "betar_tui"],
        "use_git_change_detection": False,
        "timeout_multiplier": 4.0,  # of the time that the tests of a mutant take: an endless loop costs no more
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    project = (ROOT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text("\n".join([project, "[tool.mutmut]", *lines, ""]))
    return folder


def mutmut(folder: Path, names: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """`mutmut run` in a room's copy. The copy is what is imported, whatever is installed."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(WORKERS), *names]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def outcomes(folder: Path) -> dict[str, int | None]:
    """Every mutant of a room with its exit code, None where it was not tried."""
    found: dict[str, int | None] = {}
    for meta in sorted((folder / "mutants").rglob("*.meta")):
        found.update(json.loads(meta.read_text())["exit_code_by_key"])
    return found


def make(room: Room) -> list[str]:
    """The names of all mutants of a room, in order. Also runs its tests once, to see which of them reach what."""
    folder = lay_out(room)
    made = mutmut(folder, ["no mutant has this name"])  # it makes them all before it finds that out
    names = sorted(outcomes(folder))
    if not names or "nothing matches" not in made.stdout + made.stderr:
        raise SystemExit(f"mutmut made no mutants of {room.name}:\n{made.stdout[-3000:]}{made.stderr[-3000:]}")
    return names


def draw(mutants: Mapping[str, Sequence[str]], count: int) -> dict[str, list[str]]:
    """A sample of all mutants, by room."""
    pairs = [(room, name) for room, names in mutants.items() for name in names]
    chosen: dict[str, list[str]] = {room: [] for room in mutants}
    for room, name in sorted(random.Random(SEED).sample(pairs, min(count, len(pairs)))):
        chosen[room].append(name)
    return chosen


def run(room: Room, names: Sequence[str]) -> dict[str, str]:
    """What became of these mutants of a room."""
    if not names:
        return {}
    folder = BUILD / room.name
    done = mutmut(folder, names)
    found = outcomes(folder)
    codes = {name: found[name] for name in names}
    if None in codes.values():
        raise SystemExit(f"mutmut did not try every mutant of {room.name}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return {name: STATUS.get(code or 0, "caught") for name, code in codes.items()}


def report(room: str, results: Mapping[str, str]) -> None:
    """One room's survivors."""
    for name, status in results.items():
        if status != "caught":
            print(f"   {status}: {name}   (in {BUILD.relative_to(ROOT) / room}: mutmut show {name})", flush=True)


def main(arguments: Iterable[str]) -> int:
    count = int(next(iter(arguments), COUNT))
    began = time.perf_counter()
    mutants = {room.name: make(room) for room in ROOMS}
    chosen = draw(mutants, count)
    totals: Counter[str] = Counter()
    for room in ROOMS:
        results = run(room, chosen[room.name])
        caught = sum(status == "caught" for status in results.values())
        print(f"{room.name}: {caught} of {len(results)} noticed, {len(mutants[room.name])} possible", flush=True)
        report(room.name, results)
        totals.update(results.values())
    tried = totals.total()
    share = 100 * totals["caught"] / max(1, tried)
    print(f"{totals['caught']} of {tried} noticed ({share:.1f} %), {time.perf_counter() - began:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
