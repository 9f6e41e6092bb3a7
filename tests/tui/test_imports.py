"""The first frame must not wait for the network: nothing of it may be imported by the interface."""

import subprocess
import sys


def test_the_interface_does_not_import_the_machinery():
    code = (
        "import sys, betar_tui.tui.app, betar_tui.tui.run\n"
        "bad = [name for name in sys.modules if name.split('.')[0] in ('libp2p', 'sqlite3') or name.startswith("
        "('betar_tui.node', 'betar_tui.p2p', 'betar_tui.store', 'betar_tui.replica', 'betar_tui.control'))]\n"
        "print(bad)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert result.stdout.strip() == "[]"
