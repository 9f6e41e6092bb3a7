"""Joins what several servers say about the providers of a key. Pure.

A server may invent all that it says. What most servers say goes first, then what each of them says first; so one that
answers before the others cannot fill the places of what they say."""

from collections.abc import Iterable, Mapping, Sequence

from betar_tui.p2p.addresses import MAX_ADDRS_PER_PEER

MAX_PER_ANSWER = 4
"""Maximum addresses of a provider that one server's answer adds."""
MAX_FOUND = 256
"""Maximum providers that are kept."""

Answer = Mapping[str, Sequence[str]]
"""Addresses by provider, as one server says."""


def merged(answers: Sequence[Answer]) -> dict[str, tuple[str, ...]]:
    """At most MAX_FOUND providers, and MAX_ADDRS_PER_PEER addresses of each."""
    heard: dict[str, list[Sequence[str]]] = {}
    for answer in answers:
        for provider, addrs in answer.items():
            heard.setdefault(provider, []).append(addrs[:MAX_PER_ANSWER])
    providers = _ranked(answers)[:MAX_FOUND]
    return {provider: tuple(_ranked(heard[provider])[:MAX_ADDRS_PER_PEER]) for provider in providers}


def _ranked(lists: Iterable[Iterable[str]]) -> list[str]:
    """What is in the lists: that which is in most of them first, then that which has the first place in one."""
    votes: dict[str, int] = {}
    best: dict[str, int] = {}
    for each in lists:
        for place, text in enumerate(dict.fromkeys(each)):
            votes[text] = votes.get(text, 0) + 1
            best[text] = min(place, best.get(text, place))
    return sorted(votes, key=lambda text: (-votes[text], best[text]))
