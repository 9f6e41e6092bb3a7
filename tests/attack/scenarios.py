"""The attacks, each with the bars that it must not break."""

from __future__ import annotations

from dataclasses import dataclass

from tests.attack.figures import Bar
from tests.attack.lab import Plan

HEARD = (Bar("honest p95", 1.0), Bar("lost", 0))
MEMORY = (Bar("memory grown", 60), Bar("memory kept after 10 s", 20))
"""The figure after ten seconds leaves room for what the allocator keeps and the honest listings of the meantime."""
SMOOTH = (Bar("loop held, processor", 100), *HEARD, Bar("newcomer syncs", 10))
MASS = (Bar("memory grown", 60), Bar("disk a byte sent", 1.5), *HEARD)
LET_IN = (Bar("other address connects", 2), Bar("same address connects", 10), *HEARD)
KEPT = (Bar("looks at which one was hidden", 0), Bar("healed a listing and round", 1), *HEARD)
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """An attack and its bars."""

    plan: Plan
    bars: tuple[Bar, ...]


SCENARIOS = {
    scenario.plan.name: scenario
    for scenario in (
        Scenario(Plan("nothing", "gossip.nothing"), (*MEMORY, *SMOOTH)),
        Scenario(Plan("iwant-bomb", "gossip.iwant_bomb"), (*MEMORY, *HEARD)),
        Scenario(Plan("prune-topics", "gossip.prunes"), (*MEMORY, *HEARD)),
        Scenario(Plan("graft-topics", "gossip.grafts"), (*MEMORY, *HEARD)),
        Scenario(Plan("ihave-topics", "gossip.ihaves"), (*MEMORY, *HEARD)),
        Scenario(Plan("long-topics", "gossip.long_topics"), (*MEMORY, *HEARD)),
        Scenario(Plan("subscriptions", "gossip.subscriptions"), (*MEMORY, *HEARD)),
        Scenario(Plan("one-author", "gossip.one_author"), HEARD),
        Scenario(Plan("throwaway-authors", "gossip.throwaway_authors"), HEARD),
        Scenario(Plan("throwaway-heads", "gossip.throwaway_heads"), HEARD),
        Scenario(Plan("throwaway-blocks", "gossip.throwaway_blocks"), HEARD),
        Scenario(Plan("twenty-authors", "gossip.one_author", connections=20), HEARD),
        Scenario(Plan("twenty-throwaways", "gossip.throwaway_authors", connections=20), HEARD),
        Scenario(Plan("group-broadcasts", "gossip.nested_groups"), SMOOTH),
        Scenario(Plan("many-keys", "deltas.many_keys"), SMOOTH),
        Scenario(Plan("empty-elements", "deltas.empty_elements"), SMOOTH),
        Scenario(Plan("group-deltas", "deltas.nested_groups"), SMOOTH),
        Scenario(Plan("long-keys", "deltas.long_keys"), SMOOTH),
        Scenario(Plan("shared-parents", "deltas.shared_parents"), SMOOTH),
        Scenario(Plan("multiaddrs", "deltas.multiaddrs"), SMOOTH),
        Scenario(Plan("hangul", "deltas.hangul"), SMOOTH),
        Scenario(Plan("combining-marks", "deltas.combining"), SMOOTH),
        Scenario(Plan("large-listings", "spam.large_listings", MINUTE), MASS),
        Scenario(Plan("small-listings", "spam.small_listings", MINUTE), MASS),
        Scenario(Plan("invented-links", "spam.invented_links", MINUTE), MASS),
        Scenario(Plan("invented-heads", "spam.invented_heads", MINUTE), MASS),
        Scenario(Plan("half-open", "connections.half_open", 40.0, connections=0, newcomers=True), LET_IN),
        Scenario(Plan("idle", "connections.idle", 60.0, connections=0, newcomers=True), LET_IN),
        Scenario(Plan("info-pull", "sellers.info_pull", watch=True), KEPT),
        Scenario(Plan("tombstones", "sellers.tombstones", watch=True), KEPT),
    )
}
"""By name, in the order in which they run. The 25 forgeries of provenance get a plan of their own here."""
