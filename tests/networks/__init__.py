"""Peers on machines of their own: network namespaces that the tests make (`tests.namespaces`)."""
