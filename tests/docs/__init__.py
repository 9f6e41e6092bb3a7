"""The documentation is tested: its links, its figures, its message definitions and its vectors."""
