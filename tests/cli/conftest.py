"""A small market that commands are given to, behind a peer of its own process."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.terminals import PROGRAM, TIMEOUT
from tests.peers.harness import QUIET, clean_environment

NAMES = ("swift-ocr", "Übersetzer", "文書要約", "перевод", "a" * 90, "bold \x1b[1m\u202e“studio”")
"""Names in several scripts, one of them hostile; only a peer that wrote them itself has the last."""
COUNT = 24


class Market(NamedTuple):
    """A running peer: its data directory, its process, its address, and the environment for commands to it."""

    directory: Path
    process: subprocess.Popen[str]
    address: str
    environment: Mapping[str, str]

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its output is text."""
        settings: dict[str, object] = {
            "env": self.environment, "capture_output": True, "timeout": TIMEOUT, "stdin": subprocess.DEVNULL,
            "encoding": "utf-8", "errors": "replace",
        }  # fmt: skip
        settings.update(options)
        return subprocess.run([*PROGRAM, *arguments], check=False, **settings)  # type: ignore[call-overload,no-any-return]


@contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Market]:
    """A peer on a data directory, on loopback."""
    environment = {**clean_environment(), **QUIET, "BETAR_TUI_DATA_DIR": str(directory), "COLUMNS": "80"}
    command = [*PROGRAM, "--serve", "--listen", "/ip4/127.0.0.1/tcp/0", *arguments]
    with (directory.parent / f"{directory.name}.err").open("w") as err:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=err, text=True)
    assert process.stdout is not None
    try:
        ready = dict(part.split("=", 1) for part in process.stdout.readline().split()[1:])
        yield Market(directory, process, ready["addr"], environment)
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A peer with listings in several scripts, one of which has a history."""
    folder = tmp_path_factory.mktemp("market")
    listings = [
        {
            "name": f"{NAMES[n % 5]}-{n}" if n >= 5 else NAMES[n],
            "price": (0.05, 12.5, 1, 0.00001)[n % 4],
            "description": f"Reads scans, number {n}.\n{NAMES[5]}",
            "metadata": {"tier": "gold" if n % 2 else "silver", "tags": ["nlp"]},
        }
        for n in range(COUNT)
    ]
    file = folder / "market.json"
    file.write_text(json.dumps(listings))
    with running(folder / "peer") as found:
        assert found.run("publish", "--file", str(file)).returncode == 0
        assert found.run("update", "swift-ocr", "--price", "0.04").returncode == 0
        yield found


def without(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    """An environment without some variables."""
    return {name: value for name, value in environment.items() if name not in names}


def tty_environment(market: Market) -> dict[str, str]:
    """The environment of a terminal, whose width COLUMNS does not say."""
    return {
        **without(market.environment, "COLUMNS", "LINES"),
        "TERM": "xterm-256color",
        "HOME": os.fspath(market.directory),
    }
