"""The control socket: everything that the marketplace says survives the journey."""

import json
import socket
import stat
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.control.client import ControlClient
from betar_tui.control.parts import PART, cut, joined
from betar_tui.control.patience import PING
from betar_tui.control.server import serve_control
from betar_tui.control.wire import ALIVE, MAX_DEPTH, error_to_plain, line, lines, plain, raise_plain, typed
from betar_tui.errors import ControlError, FilterError, ListingError, NoRunningPeerError, UnknownListingError
from betar_tui.market.marketplace import (
    Change,
    ChangeKind,
    HeadInfo,
    Listing,
    ListingDraft,
    ListingPage,
    ListingPatch,
    Missed,
    Notice,
    Place,
    Provenance,
    Repaired,
    RepublishReason,
    StatusChanged,
)
from betar_tui.peer import open_peer
from tests.peers.harness import config

listings = st.builds(
    Listing,
    id=st.text(),
    name=st.text(),
    price=st.floats(allow_nan=False, allow_infinity=False),
    metadata=st.none() | st.text() | st.dictionaries(st.text(), st.text() | st.integers()),
    seller_id=st.text(),
    addrs=st.lists(st.text()).map(tuple),
    protocols=st.lists(st.text()).map(tuple),
    timestamp=st.integers(),
    token_id=st.none() | st.text(),
    provenance=st.sampled_from(Provenance),
    mine=st.booleans(),
    cid=st.text(),
    height=st.integers(0, (1 << 64) - 1),
)


class Bytes(trio.abc.ReceiveStream):
    """A stream that returns `step` bytes at a time."""

    def __init__(self, content: bytes, step: int) -> None:
        self._content, self._step = content, step

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        piece, self._content = self._content[: self._step], self._content[self._step :]
        return piece

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@given(st.lists(listings, max_size=3), st.integers(1, 5000))
def test_a_page_survives_the_wire_in_pieces_of_any_size(some, step):
    page = ListingPage(tuple(some), len(some), 1, 2)

    async def journey():
        return [message async for message in lines(Bytes(line({"result": plain(page)}), step))]

    (message,) = trio.run(journey)
    assert typed(ListingPage, message["result"]) == page


def test_errors_are_raised_again_with_what_they_carry():
    for error in (ListingError("bad", "price"), FilterError("bad", 7), UnknownListingError("who")):
        with pytest.raises(type(error)) as raised:
            raise_plain(error_to_plain(error))
        assert str(raised.value) == str(error)
        assert vars(raised.value) == vars(error)


@pytest.mark.parametrize("value", [{"listings": 1, "total": 0}, {"total": "x"}, [], {"unknown": 1}, "x"])
def test_what_does_not_fit_is_a_control_error(value):
    with pytest.raises(ControlError, match="same version"):
        typed(ListingPage, value)


async def test_a_marketplace_behind_the_socket_answers_as_itself(tmp_path):
    settings = config(tmp_path)
    async with open_peer(settings, network=False) as peer, trio.open_nursery() as nursery:
        await nursery.start(serve_control, peer, settings.control_socket)
        assert stat.S_IMODE(settings.control_socket.stat().st_mode) == 0o600
        client = ControlClient(settings.control_socket)
        async with client.events() as events:
            (receipt,) = await client.publish([ListingDraft("a", 1, "text", {"k": [1, "v"]})])
            change = await anext(each async for each in events if isinstance(each, Change))
            assert (change.kind, change.id, change.listing.name) == (ChangeKind.PUT, receipt.id, "a")
        assert await client.listings("a") == await peer.listings("a")
        assert await client.show(receipt.id) == await peer.show(receipt.id)
        assert await client.heads() == await peer.heads()
        assert await client.log() == await peer.log()
        with pytest.raises(FilterError) as error:
            await client.listings("price<x")
        assert error.value.position == len("price<")
        with pytest.raises(ListingError, match="already"):
            await client.publish([ListingDraft("a", 1)])
        with pytest.raises(NoRunningPeerError):
            await client.peers()
        nursery.cancel_scope.cancel()
    assert not settings.control_socket.exists()
    with pytest.raises(NoRunningPeerError, match="--serve"):
        await client.status()


@pytest.mark.parametrize(
    ("raw", "error"),
    [(b"junk\n", None), (b"[]\n", None), (b"\xff\n", None), (b"[" * 100_000 + b"\n", None),
     (b'{"method": "open_peer"}\n', "knows no call open_peer"),
     (b'{"method": "__class__"}\n', "knows no call __class__"),
     (b'{"method": "listings", "params": {"nope": 1}}\n', "knows no call listings of this form"),
     (b'{"method": "listings", "params": [1]}\n', "knows no call listings of this form"),
     (b'{"method": "publish", "params": {"drafts": [{"name": 1}]}}\n', "is not a str"),
     (b'{"method": "publish", "params": {"drafts": [{"name": "x"}]}}\n', "ListingDraft"),
     (b'{"method": "publish", "params": {"drafts": "x"}}\n', "is not a Sequence"),
     (b'{"method": "show", "params": {"listing_id": null}}\n', "is null"),
     (b'{"method": "show"}\n', "knows no call show of this form")],
)  # fmt: skip
async def test_nonsense_on_the_socket_ends_nothing(tmp_path, raw, error):
    settings = config(tmp_path)
    async with open_peer(settings, network=False) as peer, trio.open_nursery() as nursery:
        await nursery.start(serve_control, peer, settings.control_socket)
        async with await trio.open_unix_socket(str(settings.control_socket)) as stream:
            await stream.send_all(raw)
            await stream.send_eof()
            answer = b"".join([piece async for piece in stream])
        if error is None:
            assert answer == b""
        else:
            assert error in json.loads(answer)["error"]["message"]
        assert (await ControlClient(settings.control_socket).status()).listings == 0
        nursery.cancel_scope.cancel()


def listing(number: int, **fields: object) -> Listing:
    plainest = Listing(f"s/{number}", f"n{number}", 1.0, {}, "s", (), (), 0, None, Provenance.VERIFIED, False, "c", 1)
    return replace(plainest, **fields)


class Canned:
    """A marketplace that answers what it was given, and whose events are fed by hand."""

    def __init__(self, page: ListingPage | None = None, heads: tuple[HeadInfo, ...] = ()) -> None:
        self.page, self.known = page or ListingPage((), 0), heads
        self.feed, self._events = trio.open_memory_channel(1000)

    async def listings(
        self,
        query: str = "",
        sort: str = "",
        limit: int = 0,
        after: Place | None = None,
        before: Place | None = None,
        around: str = "",
        skip: int = 0,
        muted: Sequence[str] = (),
    ) -> ListingPage:
        return self.page

    async def heads(self) -> tuple[HeadInfo, ...]:
        return self.known

    @asynccontextmanager
    async def events(self):
        yield self._events


@asynccontextmanager
async def canned(tmp_path, market):
    """A client of `market` behind a socket."""
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_control, market, tmp_path / "control.sock")
        yield ControlClient(tmp_path / "control.sock")
        nursery.cancel_scope.cancel()


def nested(depth: int) -> object:
    value: object = "deep"
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("politely", [True, False])
async def test_a_peer_that_leaves_before_it_sends_an_event_is_not_running(tmp_path, politely):
    """One that is stopping still takes connections."""

    async def leave(stream: trio.SocketStream) -> None:
        if politely:
            await stream.receive_some()
        await stream.aclose()

    listening = trio.socket.socket(trio.socket.AF_UNIX)
    await listening.bind(str(tmp_path / "control.sock"))
    listening.listen()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, leave, [trio.SocketListener(listening)])
        with pytest.raises(ControlError, match="left before it sent"):
            async with ControlClient(tmp_path / "control.sock").events():
                pytest.fail("it said that it is attached")
        nursery.cancel_scope.cancel()


async def test_hostile_metadata_reaches_the_client_and_ends_nothing(tmp_path):
    metadata = {"half": "\ud800", "bidi": "\u202e", "deep": nested(900), "endless": float("inf")}
    page = ListingPage((listing(1, metadata=metadata, token_id="\udfff"),), 1)
    market = Canned(page)
    async with canned(tmp_path, market) as client:
        for _ in range(2):
            (got,) = (await client.listings()).listings
            assert (got.metadata["half"], got.metadata["bidi"], got.token_id) == ("\ud800", "\u202e", "\udfff")
            assert got.metadata["endless"] is None
            assert "deep" not in str(got.metadata["deep"])
        async with client.events() as events:
            await market.feed.send(Change(ChangeKind.PUT, "s/1", "c", 1, "p", 0.0, page.listings[0]))
            assert isinstance(await events.receive(), Notice)
            assert (await events.receive()).listing.metadata["half"] == "\ud800"


async def test_a_repair_arrives_with_its_fields(tmp_path):
    repaired = Repaired("s/1", "a: b", RepublishReason.REPLACED, 1.5, "the disk is full")
    market = Canned()
    async with canned(tmp_path, market) as client, client.events() as events:
        await market.feed.send(repaired)
        assert isinstance(await events.receive(), Notice)
        got = await events.receive()
    assert got == repaired
    assert got.reason is RepublishReason.REPLACED
    assert not got.healed


async def test_an_event_that_cannot_be_encoded_counts_as_missed(tmp_path):
    market = Canned()
    async with canned(tmp_path, market) as client, client.events() as events:
        await market.feed.send(Missed(object()))  # JSON has no form for it
        await market.feed.send(StatusChanged())
        assert "Attached" in (await events.receive()).text
        assert [await events.receive(), await events.receive()] == [Missed(1), StatusChanged()]


async def test_an_answer_that_cannot_be_encoded_is_an_error(tmp_path):
    async with canned(tmp_path, Canned(ListingPage((), object()))) as client:
        for _ in range(2):
            with pytest.raises(ControlError, match="failed"):
                await client.listings()


async def test_a_watcher_that_leaves_with_unread_data_ends_nothing(tmp_path):
    market = Canned()
    async with canned(tmp_path, market) as client:
        for _ in range(3):
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(str(tmp_path / "control.sock"))
            sock.sendall(b'{"method": "events"}\n')
            for _ in range(50):
                await market.feed.send(StatusChanged())
            await trio.sleep(0.05)
            sock.close()  # with bytes in its buffer: the other side gets ECONNRESET
            await trio.sleep(0.05)
            assert await client.heads() == ()


async def test_a_large_answer_comes_in_parts_while_the_loop_goes_on(tmp_path):
    """As one line, a hundred thousand listings were more than may be read, and made in the loop's own thread."""
    many = tuple(listing(number, description="x" * 700) for number in range(100_000))
    longest = last = 0.0

    async def tick():
        nonlocal longest, last
        last = time.thread_time()  # that of the loop: what other processes take does not count
        while True:
            await trio.sleep(0.001)
            longest, last = max(longest, time.thread_time() - last), time.thread_time()

    async with canned(tmp_path, Canned(ListingPage(many, 7, 1, 2))) as client, trio.open_nursery() as nursery:
        nursery.start_soon(tick)
        page = await client.listings()
        nursery.cancel_scope.cancel()
    assert page == ListingPage(many, 7, 1, 2)
    assert longest < 1.0


@pytest.mark.parametrize("number", [0, 1, PART, PART + 1, 3 * PART])
async def test_parts_are_put_together_again(tmp_path, number):
    page = ListingPage(tuple(listing(each) for each in range(number)), 9, 1, 2)
    heads = tuple(HeadInfo(str(each), each) for each in range(number))
    assert joined(*cut(page)) == page
    async with canned(tmp_path, Canned(page, heads)) as client:
        assert await client.listings() == page
        assert await client.heads() == heads


async def test_what_would_be_lost_on_the_way_is_refused(tmp_path):
    async with canned(tmp_path, Canned()) as client:
        for value in (nested(MAX_DEPTH), float("nan")):
            with pytest.raises(ListingError) as raised:
                await client.publish([ListingDraft("x", 1, metadata={"k": value})])
            assert raised.value.field == "metadata"


async def test_windows_of_the_market_over_the_socket(tmp_path):
    settings = config(tmp_path)
    async with open_peer(settings, network=False) as peer, trio.open_nursery() as nursery:
        await nursery.start(serve_control, peer, settings.control_socket)
        client = ControlClient(settings.control_socket)
        receipts = await client.publish([ListingDraft(f"n{number:03}", number, "text") for number in range(450)])
        ids = [each.id for each in receipts]
        for asked in (
            {"around": ids[222]},
            {"around": "nobody"},
            {"skip": 240},
            {"query": "price<300", "skip": 290},
            {"muted": [peer.peer_id]},
            {"query": "state:muted", "muted": [peer.peer_id]},
        ):
            page = await client.listings(**{"sort": "price", "limit": 200, **asked})
            assert page == await peer.listings(**{"sort": "price", "limit": 200, **asked})
        page = await client.listings("", "price", 200, around=ids[222])
        assert (len(page.listings), page.start, page.listings[100].id) == (200, 122, ids[222])
        assert (await client.listings("", "price", 200, skip=240)).listings[0].id == ids[240]
        assert (await client.listings("", "", 200, muted=[peer.peer_id])).muted == 450
        assert await client.count("price<300") == 300
        assert await client.count("", [peer.peer_id]) == 0
        with pytest.raises(FilterError):
            await client.count("price<x")
        found = await client.find([ids[3], "nobody", ids[1]])
        assert [each.id for each in found] == [ids[3], ids[1]]
        async with client.events() as events:
            await client.update(ids[4], ListingPatch(price=9.0, metadata={"tier": "gold"}))
            change = await anext(each async for each in events if isinstance(each, Change))
            assert (change.kind, change.changed) == (
                ChangeKind.UPDATE,
                {"price": 4.0, "metadata": {"description": "text"}},
            )
            await client.delist(ids[3])
            change = await anext(each async for each in events if isinstance(each, Change))
            assert (change.kind, change.id, change.listing) == (ChangeKind.DELIST, ids[3], None)
            assert (change.name, change.seller_id, change.old_price) == ("n003", peer.peer_id, 3.0)
        nursery.cancel_scope.cancel()


class Slow(Canned):
    """Counts for ever, and says when it begins and when it ends."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.ended = trio.Event(), trio.Event()

    async def count(self, query: str = "", muted: Sequence[str] = ()) -> int:
        self.begun.set()
        try:
            await trio.sleep_forever()
        finally:
            self.ended.set()


async def test_a_call_ends_when_its_client_leaves(tmp_path):
    market = Slow()
    async with canned(tmp_path, market) as client, trio.open_nursery() as nursery:
        nursery.start_soon(client.count, "ocr")
        with trio.fail_after(10):
            await market.begun.wait()
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await market.ended.wait()


async def test_who_has_said_all_still_gets_the_answers(tmp_path):
    async with canned(tmp_path, Canned()) as client:
        async with await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
            await stream.send_all(b'{"id": 1, "method": "heads"}\n{"id": 2, "method": "heads"}\njunk\n')
            await stream.send_eof()
            answers = b"".join([piece async for piece in stream]).splitlines()
        assert [json.loads(answer)["id"] for answer in answers] == [1, 2]
        assert await client.heads() == ()


async def test_whether_a_peer_is_alive_is_a_call_with_an_answer(tmp_path):
    async with canned(tmp_path, Canned()), await trio.open_unix_socket(str(tmp_path / "control.sock")) as stream:
        await stream.send_all(PING + b'{"id": 1, "method": "heads"}\n')
        await stream.send_eof()
        answers = [json.loads(each) for each in b"".join([piece async for piece in stream]).splitlines()]
    assert [(each["id"], "error" in each) for each in answers] == [(0, False), (1, False)]
    assert answers[0]["result"] == ALIVE
