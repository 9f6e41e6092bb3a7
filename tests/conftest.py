"""Settings for every test, and which of them `make quick` leaves out."""

import inspect
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The machine may be busy, so nothing is judged by how long it took.
settings.register_profile("shared-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("quick", settings.get_profile("shared-machine"), max_examples=25)
settings.load_profile("shared-machine")

# No test sends anything beyond this machine: discovery is tested in network namespaces that a test makes.
os.environ.update(BETAR_TUI_MDNS="0", BETAR_TUI_DHT="0", BETAR_TUI_UPNP="0")

# Under nohup it is ignored, also by the programs that tests start.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

HERE = Path(__file__).parent
SLOW_DIRECTORIES = {
    "attack",
    "cli",
    "demo",
    "interop",
    "networks",
    "packaging",
    "peer",
    "peers",
    "simulation",
    "terminal",
}
"""Directories of tests that start processes, need Go, or take long for another reason."""
SLOW_FILES = {"test_crashes.py", "test_hostile.py", "test_imports.py", "test_leaving.py", "test_matrix.py"}
"""The same for single files elsewhere."""
PURE_PARTS = {"control", "p2p", "tui"}
"""Directories in which only plain functions are quick: the others open sockets or run the app."""


def is_slow(item: pytest.Function) -> bool:
    """Whether `make quick` leaves a test out."""
    directory, file = item.path.relative_to(HERE).parts[0], item.path.name
    if directory in SLOW_DIRECTORIES or file in SLOW_FILES or "crash" in item.name:
        return True
    return directory in PURE_PARTS and (inspect.iscoroutinefunction(item.function) or runs_the_app(item))


def runs_the_app(item: pytest.Function) -> bool:
    """Whether a test is wrapped by `tests.tui.ui`, which makes a plain function of it, or uses it inside."""
    code = item.function.__code__
    wrapped = code.co_filename != str(item.path) and not getattr(item.function, "is_hypothesis_test", False)
    return wrapped or "ui" in code.co_names


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tests."""
    for item in items:
        if isinstance(item, pytest.Function) and is_slow(item):
            item.add_marker("slow")
