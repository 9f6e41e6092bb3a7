"""The control socket: everything that the marketplace says survives the journey."""

import stat

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from betar_tui.control import ControlClient, serve_control
from betar_tui.control.wire import error_to_plain, line, lines, plain, raise_plain, typed
from betar_tui.errors import ControlError, FilterError, ListingError, NoRunningPeerError, UnknownListingError
from betar_tui.market.marketplace import Change, ChangeKind, Listing, ListingDraft, ListingPage, Provenance
from betar_tui.node import open_node

from ..peers.harness import config

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
    """A stream that gives so many bytes at a time."""

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
    async with open_node(settings, network=False) as node, trio.open_nursery() as nursery:
        await nursery.start(serve_control, node, settings.control_socket)
        assert stat.S_IMODE(settings.control_socket.stat().st_mode) == 0o600
        client = ControlClient(settings.control_socket)
        async with client.events() as events:
            (receipt,) = await client.publish([ListingDraft("a", 1, "text", {"k": [1, "v"]})])
            change = await anext(each async for each in events if isinstance(each, Change))
            assert (change.kind, change.id, change.listing.name) == (ChangeKind.PUT, receipt.id, "a")
        assert await client.listings("a") == await node.listings("a")
        assert await client.show(receipt.id) == await node.show(receipt.id)
        assert await client.heads() == await node.heads()
        assert await client.log() == await node.log()
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
    "raw",
    [b"junk\n", b"[]\n", b'{"method": "open_node"}\n', b'{"method": "listings", "params": {"nope": 1}}\n',
     b'{"method": "publish", "params": {"drafts": [{"name": 1}]}}\n', b'{"method": "__class__"}\n', b"\xff\n"],
)  # fmt: skip
async def test_nonsense_on_the_socket_ends_nothing(tmp_path, raw):
    settings = config(tmp_path)
    async with open_node(settings, network=False) as node, trio.open_nursery() as nursery:
        await nursery.start(serve_control, node, settings.control_socket)
        async with await trio.open_unix_socket(str(settings.control_socket)) as stream:
            await stream.send_all(raw)
            await stream.send_eof()
            answer = b"".join([piece async for piece in stream])
        assert answer == b"" or b'"error"' in answer
        assert (await ControlClient(settings.control_socket).status()).listings == 0
        nursery.cancel_scope.cancel()
