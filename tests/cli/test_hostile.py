"""What a peer wrote cannot act on the terminal that a command prints to, and moves no column."""

from __future__ import annotations

from argparse import Namespace
from contextlib import asynccontextmanager

import pytest
import trio

from betar_tui import commands
from betar_tui.complaints import complain
from betar_tui.config import Config
from betar_tui.errors import ControlError
from betar_tui.market.marketplace import Change, ChangeKind, DeltaInfo, Listing, PeerInfo, Version
from tests.tui.fake import NOW, FakeMarketplace, listing
from tests.tui.hostile import HOSTILE
from tests.tui.terminal import columns, unsafe


def nasty(number: int) -> Listing:
    text = HOSTILE[number]
    return listing(
        text,
        id=f"{number}/{text}",
        seller_id=text,
        description=text,
        metadata={text: [text, {text: text}]},
        addrs=(text,),
        protocols=(text,),
        token_id=text,
        extra={text: text},
    )


class Hostile(FakeMarketplace):
    """Everything it tells is hostile."""

    def __init__(self) -> None:
        super().__init__([nasty(number) for number in range(len(HOSTILE))])
        self.connected = tuple(PeerInfo(t, (t,), t, 1.0, t, (t,), True, NOW) for t in HOSTILE)
        self.more_status = {"troubles": HOSTILE[:40], "dialect": HOSTILE[0]}
        self.history = {key: [Version(text, 1, text)] for key, text in zip(self.store, HOSTILE, strict=True)}

    async def log(self, limit: int = 50) -> tuple[DeltaInfo, ...]:
        return tuple(DeltaInfo(t, 1, 600, NOW, t, 1, 0, (t, t)) for t in HOSTILE)

    @asynccontextmanager
    async def events(self):
        send, receive = trio.open_memory_channel[Change](len(HOSTILE))
        with send:
            for text in HOSTILE:
                send.send_nowait(Change(ChangeKind.PUT, text, text, 1, text, NOW, seller_id=text))
        yield receive


@pytest.fixture
def market(monkeypatch):
    fake = Hostile()

    @asynccontextmanager
    async def there(config, *, need_peer=False):
        yield fake

    monkeypatch.setattr(commands, "open_marketplace", there)
    monkeypatch.setattr(commands, "read_marketplace", there)
    return fake


def arguments(**more: object) -> Namespace:
    return Namespace(json=False, filter="", sort="", limit=0, all=True, **more)


@pytest.mark.parametrize("command", [commands.list_, commands.peers, commands.log, commands.status, commands.heads])
async def test_tables(market, capsys, tmp_path, command):
    await command(Config(data_dir=tmp_path), arguments())
    out = capsys.readouterr().out
    assert len(out) > 30 and not unsafe(out, "\n")


async def test_the_columns_of_a_table_are_in_line(market, capsys, tmp_path):
    await commands.list_(Config(data_dir=tmp_path), arguments())
    head, *rows = capsys.readouterr().out.splitlines()[:-1]
    at = head.index("PRICE")
    assert len(rows) == len(HOSTILE)
    for row in rows:
        assert columns(row)[at - 2 : at + 3] == [" ", " ", *"0.1"], row


async def test_show(market, capsys, tmp_path):
    for listing_id in market.store:
        await commands.show(Config(data_dir=tmp_path), arguments(id=listing_id))
    out = capsys.readouterr().out
    assert not unsafe(out, "\n")
    # One line a field, whatever the field's text is.
    assert sum(line.startswith("seller_id: ") for line in out.splitlines()) == len(HOSTILE)


@pytest.mark.parametrize("everything", [True, False])
async def test_watch(market, capsys, tmp_path, everything):
    market.muted = (HOSTILE[3],)
    with pytest.raises(ControlError):
        await commands.watch(Config(data_dir=tmp_path), Namespace(json=False, all=everything))
    out = capsys.readouterr().out
    assert not unsafe(out, "\n")
    assert len(out.splitlines()) == len(HOSTILE) - (not everything)


def test_complaints(capsys):
    for text in HOSTILE:
        complain(text)
    err = capsys.readouterr().err
    assert not unsafe(err, "\n")
    assert len(err.splitlines()) == len(HOSTILE)
