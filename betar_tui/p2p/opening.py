"""`open_network`, which yields a `Network`.

Order of shutdown: the network's own tasks, then every connection (politely, or by its socket), then the library's
services, all within `timing.close_timeout`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from betar_tui.concurrency import shielded_nursery
from betar_tui.p2p.adaptations.pubsub import Accept
from betar_tui.p2p.adaptations.services import quiet_library
from betar_tui.p2p.network import Network
from betar_tui.p2p.types import BlockSource, NetworkConfig


@asynccontextmanager
async def open_network(
    config: NetworkConfig, source: BlockSource, accept: Accept | None = None
) -> AsyncIterator[Network]:
    """Listen, join the topic and start dialling; stop all of it at the end of the block.

    `accept(payload)` decodes a broadcast from outside, which is delivered as the value that it returns, or refuses it,
    which is then neither delivered nor forwarded (see `Accept`); it is called in the event loop's thread for every one.
    Without it all are delivered as they are.

    Raises NetworkError when a listen address, a bootstrap address or the seed cannot be used. Nothing that a remote
    peer does is ever raised from here."""
    quiet_library()
    failure: Exception | None = None
    async with trio.open_nursery() as holder, trio.open_nursery() as tasks:
        # When the caller is cancelled, the library's services must live on until the connections are closed.
        services = await holder.start(shielded_nursery)
        # An exception of the caller's block must come out as it is, not wrapped into a nursery's group.
        try:
            network = Network(config, source, services, tasks, accept)
            try:
                await network.start()
                yield network
            finally:
                with trio.CancelScope(shield=True), trio.move_on_after(config.timing.close_timeout):
                    await network.stop()
        except Exception as error:
            failure = error
        finally:
            services.cancel_scope.cancel()
    if failure is not None:
        raise failure
