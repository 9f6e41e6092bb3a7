"""Fixtures for tests in network namespaces."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.interop.conftest import require_gopeer
from tests.namespaces import REQUIRE, Lan, open_lan, why_not


@pytest.fixture
async def lan() -> AsyncIterator[Lan]:
    """A link without machines. Skips, with the reason, where namespaces cannot be made."""
    if reason := why_not():
        (pytest.fail if REQUIRE else pytest.skip)(reason)
    async with open_lan() as link:
        yield link


@pytest.fixture(scope="session")
def gopeer_binary() -> Path:
    """The built Go peer. Without Go the test is skipped, unless the environment insists on Go."""
    return require_gopeer()
