"""Where the peer of an interface runs: attached to, or in this process, and taken over from one that has ended."""

import errno
import os
import signal
from contextlib import asynccontextmanager

import pytest
import trio

from betar_tui import place as module
from betar_tui.control.client import ControlClient
from betar_tui.errors import ControlError, StoreLockedError
from betar_tui.peer import Peer
from betar_tui.place import Place
from betar_tui.store.lock import DirectoryLock
from tests.peers.harness import config, eventually, served


@asynccontextmanager
async def placed(directory):
    """A running place, and the marketplaces that it has opened."""
    opened: list[object] = []
    start = trio.Event()
    place = Place(config(directory), opened.append, start)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(place.run)
        yield place, opened
        nursery.cancel_scope.cancel()


async def test_the_first_runs_the_peer_and_the_second_attaches_and_takes_over(tmp_path):
    settings = config(tmp_path)
    async with trio.open_nursery() as nursery:
        second_opened: list[object] = []
        second = Place(settings, second_opened.append, trio.Event())
        async with placed(tmp_path) as (first, opened):
            await eventually(lambda: opened and settings.control_socket.exists(), what="the first peer")
            assert isinstance(opened[0], Peer) and first.own and first.others() == 0
            nursery.start_soon(second.run)
            await eventually(lambda: second_opened, what="the second")
            assert isinstance(second_opened[0], ControlClient) and not second.own
            async with second_opened[0].events():
                await eventually(lambda: first.others() == 1, what="a follower")
            await eventually(lambda: first.others() == 0, what="no follower")
        await second.take_over()
        assert isinstance(second_opened[1], Peer)
        await eventually(lambda: second.own and settings.control_socket.exists(), what="the second peer")
        with trio.fail_after(5):
            await second.take_over()  # it runs here already
        assert len(second_opened) == 2
        second.abandon()
        assert not settings.control_socket.exists()
        nursery.cancel_scope.cancel()


async def test_taking_over_attaches_where_a_peer_runs_again(tmp_path):
    async with served(tmp_path) as peer, placed(tmp_path) as (place, opened):
        await eventually(lambda: opened, what="the peer")
        peer.process.send_signal(signal.SIGKILL)
        await peer.process.wait()
        async with served(tmp_path):
            await place.take_over()
            assert [type(each) for each in opened] == [ControlClient, ControlClient]
            assert not place.own


async def test_a_socket_that_cannot_be_made_is_the_answer_and_ends_nothing(tmp_path, monkeypatch):
    async with served(tmp_path) as peer, placed(tmp_path) as (place, opened):
        await eventually(lambda: opened, what="the peer")
        peer.process.kill()
        await peer.process.wait()

        def refused(sock, path):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("betar_tui.control.server.bind_socket", refused)
            with pytest.raises(ControlError, match="cannot listen on .*: the disk is full"):
                await place.take_over()
            assert [type(each) for each in opened] == [ControlClient] and not place.own
        await place.take_over()
        assert isinstance(opened[-1], Peer) and place.own
        assert config(tmp_path).control_socket.exists(), "it answers others when it is said to run"


async def test_a_directory_that_another_process_holds_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "GIVING_WAY", 0.3)
    async with served(tmp_path) as peer, placed(tmp_path) as (place, opened):
        await eventually(lambda: opened, what="the peer")
        peer.process.kill()
        await peer.process.wait()
        holder = DirectoryLock(tmp_path)
        holder.acquire()
        with pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
            await place.take_over()
        holder.release()
        await place.take_over()
        assert isinstance(opened[-1], Peer)


async def test_two_that_start_at_once_share_one_peer(tmp_path):
    async with placed(tmp_path) as (one, opened), placed(tmp_path) as (other, opened_too):
        await eventually(lambda: opened and opened_too, what="both")
        await eventually(lambda: one.own != other.own, what="one peer")
