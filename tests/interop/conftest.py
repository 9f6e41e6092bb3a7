"""Fixtures for tests that need the Go peer."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from tests.interop.driver import GoBuildError, build_gopeer, go_available

REQUIRE_ENV = "BETAR_TUI_REQUIRE_GO"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test: a cold build takes longer than a test may."""
    wanted = any("gopeer_binary" in getattr(item, "fixturenames", ()) for item in session.items)
    if wanted and go_available() and not session.config.option.collectonly:
        with contextlib.suppress(GoBuildError):  # the fixture reports it
            build_gopeer()


def require_gopeer() -> Path:
    if not go_available():
        reason = "no `go` on PATH: the Go peer cannot be built"
        if os.environ.get(REQUIRE_ENV) == "1":
            pytest.fail(f"{reason}, and {REQUIRE_ENV}=1 asks for it")
        pytest.skip(reason)
    return build_gopeer()


@pytest.fixture(scope="session")
def gopeer_binary() -> Path:
    """The built Go peer. Without Go the test is skipped, unless the environment insists on Go."""
    return require_gopeer()
