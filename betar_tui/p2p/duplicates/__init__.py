"""Finds out that another running peer uses this peer's key, as when a data directory was copied to a second machine."""
