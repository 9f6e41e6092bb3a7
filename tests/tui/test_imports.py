"""The first frame must not wait for the network: nothing of it may be imported by the interface."""

import subprocess
import sys


def test_what_textual_takes_out_of_asyncio_is_replaced_before_that():
    """Wherever the interface is entered. Else, since Python 3.12, it fails as soon as it shows a listing."""
    for module in ("app", "deferred_marketplace", "options", "run", "settings"):
        code = (
            f"import asyncio, sys, betar_tui.cli, betar_tui.tui.{module}, textual.rlock\n"
            "loaded = list(sys.modules)\n"
            "print(loaded.index('trio_asyncio') < loaded.index('textual'),"
            " textual.rlock.current_task is asyncio.current_task)"
        )
        result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        assert result.stdout.split() == ["True", "True"], module


def test_the_interface_does_not_import_the_machinery():
    code = (
        "import sys, betar_tui.tui.app, betar_tui.tui.run\n"
        "bad = [name for name in sys.modules if name.split('.')[0] in ('libp2p', 'sqlite3') or name.startswith("
        "('betar_tui.peer', 'betar_tui.p2p', 'betar_tui.store', 'betar_tui.replica', 'betar_tui.control'))]\n"
        "print(bad)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
