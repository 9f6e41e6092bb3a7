"""Attacks on one of two honest peers, and what they cost the honest: `python -m tests.attack [scenario …]`.

`lab` runs two `--serve` processes and measures; `attacker` is the hostile peer, in a process of its own; its attacks are
in `gossip`, `deltas`, `spam`, `connections` and `sellers`; `scenarios` says what each must not exceed."""
