"""Mutation testing of the pure rooms: see `tests.mutants.__main__`."""
