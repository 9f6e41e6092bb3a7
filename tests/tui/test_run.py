"""The entry point of the interface."""

from types import SimpleNamespace

import pytest

from betar_tui.errors import InterfaceError
from betar_tui.tui import run


@pytest.mark.parametrize("code", [None, 0, 1])
async def test_an_app_that_fails_is_not_taken_for_one_that_was_left(monkeypatch, code):
    """Textual prints the traceback and returns normally."""

    async def run_async() -> None:
        pass

    app = SimpleNamespace(run_async=run_async, return_code=code, restore_terminal=None)
    monkeypatch.setattr(run, "BetarApp", lambda *_: app)
    if code:
        with pytest.raises(InterfaceError, match="has failed"):
            await run.run_app(SimpleNamespace())
    else:
        await run.run_app(SimpleNamespace())
