import betar_tui.p2p  # noqa: F401 - says where libp2p finds what it imports, before a test imports it by itself
