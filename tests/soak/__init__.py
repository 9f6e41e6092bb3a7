"""Long runs, apart from the tests: `python -m tests.soak [name …]`. Each is repeatable by its seed."""
