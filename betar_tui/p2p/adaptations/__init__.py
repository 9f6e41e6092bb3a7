"""py-libp2p 0.8.1, adapted: the subclasses of its classes, and the only files that touch its private attributes.

`register` names each attribute and behaviour of the library that this peer relies on or replaces, and why. A new
version of the library is checked against it: `tests/p2p/test_adaptations.py` fails for an entry that does not
fit the installed version, and for a private attribute that is used elsewhere or is not registered."""
