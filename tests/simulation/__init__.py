"""Whole networks of replicas in virtual time, judged by a naive oracle."""
