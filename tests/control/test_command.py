"""The client of commands, which blocks: it gives what `ControlClient` gives."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import contextmanager

import pytest
import trio

from betar_tui import eventloop
from betar_tui.control import command
from betar_tui.control.client import ControlClient
from betar_tui.control.command import CommandClient
from betar_tui.control.parts import PART
from betar_tui.control.server import serve_control
from betar_tui.errors import ControlError, FilterError, ListingError, NoRunningPeerError, UnknownListingError
from betar_tui.market.marketplace import ListingDraft
from betar_tui.peer import open_peer
from tests.peers.harness import config


async def asked(make: Callable[[], object]):
    """A call as a command makes it: without an event loop, here beside the one that answers."""
    return await trio.to_thread.run_sync(eventloop.run, make)


async def test_it_answers_as_the_other_client_does(tmp_path):
    settings = config(tmp_path)
    path = settings.control_socket
    async with open_peer(settings, network=False) as peer, trio.open_nursery() as nursery:
        await nursery.start(serve_control, peer, path)
        blocking, waiting = CommandClient(path), ControlClient(path)
        assert blocking.running()
        drafts = [ListingDraft(f"n{number:03}", number, "text") for number in range(2 * PART + 1)]
        receipts = await asked(lambda: blocking.publish(drafts))
        assert len(receipts) == len(drafts)
        page = await asked(lambda: blocking.listings("price<400", "-price"))
        assert page == await waiting.listings("price<400", "-price")
        assert len(page.listings) == 400
        for name, arguments in (("show", [receipts[0].id]), ("heads", []), ("log", [1000]), ("dag", [600])):
            answers = [getattr(client, name) for client in (blocking, waiting)]
            assert await asked(lambda: answers[0](*arguments)) == await answers[1](*arguments)  # noqa: B023 - awaited
        with pytest.raises(FilterError) as error:
            await asked(lambda: blocking.listings("price<x"))
        assert error.value.position == len("price<")
        with pytest.raises(UnknownListingError):
            await asked(lambda: blocking.show("nobody/nothing"))
        with pytest.raises(ListingError):
            await asked(lambda: blocking.publish([ListingDraft("x", float("nan"))]))
        with pytest.raises(TypeError):
            await asked(blocking.show)
        with pytest.raises(AttributeError):
            blocking.dance  # noqa: B018
        nursery.cancel_scope.cancel()
    assert not blocking.running()
    with pytest.raises(NoRunningPeerError, match="--serve"):
        await asked(blocking.status)


@contextmanager
def answering(path, answer: bytes):
    """A socket that reads one request, answers with these bytes and closes."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer_one() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(answer)

        thread = threading.Thread(target=answer_one, daemon=True)
        thread.start()
        yield
        thread.join(10)


def result_of(value: object) -> bytes:
    return json.dumps({"result": value}).encode() + b"\n"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"", "left before it answered heads"),
        (result_of([])[:-1], "left before it answered heads"),
        (b'{"part": []}\n', "left before it answered heads"),
        (b"junk\n", "is not JSON"),
        (b"[]\n", "is not an object"),
        (result_of([{"cid": "c"}]), "same version"),
        (result_of([{"cid": "c", "height": "high"}]), "same version"),
        (b'{"error": {"message": "no luck"}}\n', "no luck"),
        (b"x" * 2000, "exceeds 1000 bytes"),
        (b"x" * 2000 + b"\n", "exceeds 1000 bytes"),
    ],
)
def test_an_answer_that_is_none_is_a_control_error(tmp_path, monkeypatch, answer, says):
    monkeypatch.setattr(command, "MAX_LINE", 1000)
    monkeypatch.setattr("betar_tui.control.wire.MAX_LINE", 1000)
    with answering(tmp_path / "s", answer), pytest.raises(ControlError, match=says):
        eventloop.run(CommandClient(tmp_path / "s").heads)


def test_what_comes_after_the_answer_is_not_read(tmp_path):
    with answering(tmp_path / "s", result_of([]) + b"junk\n"):
        assert eventloop.run(CommandClient(tmp_path / "s").heads) == ()


async def test_events_come_from_the_other_client(tmp_path):
    settings = config(tmp_path)
    async with open_peer(settings, network=False) as peer, trio.open_nursery() as nursery:
        await nursery.start(serve_control, peer, settings.control_socket)
        async with CommandClient(settings.control_socket).events() as events:
            assert "Attached" in (await events.receive()).text
        nursery.cancel_scope.cancel()
