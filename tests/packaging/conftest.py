from __future__ import annotations

import pytest

from tests.packaging.built import Built, build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The wheel and the source archive of this checkout."""
    pytest.importorskip("build", reason="make installs it")
    return build(tmp_path_factory.mktemp("built"))
