"""Tests of this peer against running Go, and of the Go peer that they use."""
