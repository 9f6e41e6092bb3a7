"""`python -m betar_tui` is `betar-tui`."""

import sys

from betar_tui.cli import main

sys.exit(main())
