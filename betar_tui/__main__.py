"""`python -m betar_tui` is `betar-tui`: where the program begins."""

import gc
import os
import sys


def main() -> int:
    """Run betar-tui; the exit code."""
    # Nothing that is imported and read at the start is garbage, and looking for it takes a tenth of the time. `cli` and
    # `startup` switch collection on again.
    gc.disable()
    # An odd umask would make files that their owner cannot use.
    os.umask(os.umask(0o077) & 0o077)
    try:
        from betar_tui import cli

        return cli.main()
    except KeyboardInterrupt:  # while all that is imported
        return 130


if __name__ == "__main__":
    sys.exit(main())
