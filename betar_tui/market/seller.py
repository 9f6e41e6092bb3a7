"""The seller's side of a peer: publish, update, delist, and keep own listings up.

What a person wants published is remembered before it is written, and forgotten before it is removed, so that a crash in
between ends in what the person asked for. Reads the replica's values and writes through the writer; knows no network.
"""

import json
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import trio

from betar_tui.errors import ListingError, NotOwnerError, UnknownListingError
from betar_tui.market.announce import Announcer, Why
from betar_tui.market.book import Book
from betar_tui.market.compose import Document, Rendered, new_document, patched, render
from betar_tui.market.listing import BETAR_GO, DOCUMENTS
from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch
from betar_tui.market.provenance import Signer
from betar_tui.p2p.writer import ReplicaWriter
from betar_tui.replica import Written, keys
from betar_tui.store.facts import Winner

_DIALECT = "dialect"


class OwnStore(Protocol):
    """What is remembered for a seller."""

    def own(self) -> Mapping[str, str]: ...
    def put_own(self, documents: Mapping[str, str]) -> None: ...
    def drop_own(self, keys: Sequence[str]) -> None: ...
    def put_files(self, files: Mapping[bytes, bytes]) -> None: ...
    def setting(self, name: str) -> str | None: ...
    def put_setting(self, name: str, value: str) -> None: ...
    def winners(self, keys: Sequence[str]) -> Mapping[str, Winner]: ...


@dataclass(frozen=True, slots=True)
class Repair:
    """An own listing that a round put again, and why."""

    listing_id: str
    name: str
    why: Why


@dataclass(frozen=True, slots=True)
class Published:
    """A new listing of ours: the delta that carries it, and how many peers were told at once."""

    listing_id: str
    written: Written
    sent_to: int


@dataclass(slots=True)
class _Job:
    """One call of publish on its way."""

    drafts: tuple[ListingDraft, ...]
    documents: dict[str, Document] = field(default_factory=dict)
    published: tuple[Published, ...] | None = None
    error: BaseException | None = None

    @property
    def done(self) -> bool:
        return self.published is not None or self.error is not None


class Seller:
    """Own listings of one peer. `default_addrs` are its dialable multiaddrs, asked for at each publish; `announce`
    tells peers of deltas and counts them."""

    def __init__(
        self,
        store: OwnStore,
        writer: ReplicaWriter,
        signer: Signer,
        book: Book,
        *,
        dialect: str,
        refresh_interval: float,
        clock: Callable[[], float],
        default_addrs: Callable[[], tuple[str, ...]],
        announce: Callable[[Sequence[bytes]], Awaitable[int]],
    ) -> None:
        self._store = store
        self._writer = writer
        self._signer = signer
        self._book = book
        self._choice = dialect
        self._clock = clock
        self._default_addrs = default_addrs
        self._announce = announce
        self._jobs: list[_Job] = []
        self._announcer = Announcer(refresh_interval)
        self._documents: dict[str, Document] = {key: json.loads(text) for key, text in store.own().items()}
        remembered = store.setting(_DIALECT) == BETAR_GO
        self.dialect = (BETAR_GO if remembered else DOCUMENTS) if dialect == "auto" else dialect
        # Writing and rounds both read a document and put its value: one at a time.
        self._turn = trio.Lock()

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Published, ...]:
        """Store and announce new listings, in order. Raises ListingError and then stores nothing.

        Calls that come while one is at work are written together after it: a burst makes few deltas.
        """
        job = _Job(tuple(drafts))
        self._jobs.append(job)
        async with self._turn:
            if not job.done:
                jobs, self._jobs = self._jobs, []
                # Others wait for this batch: whoever began it may leave, the batch may not.
                with trio.CancelScope(shield=True):
                    await self._publish_jobs(jobs)
        if job.published is None:
            raise job.error or ListingError("the listing was not written")
        return job.published

    async def _publish_jobs(self, jobs: Sequence["_Job"]) -> None:
        documents: dict[str, Document] = {}
        for job in jobs:
            try:
                job.documents = self._new_documents(job.drafts, documents)
                documents.update(job.documents)
            except ListingError as error:
                job.error = error
        try:
            written = await self._put(documents)
            sent = await self._announce([each.node.cid for each in _distinct(written.values())])
        except BaseException as error:
            for job in jobs:
                job.error = job.error or error
            return
        for job in jobs:
            if not job.done:
                job.published = tuple(
                    Published(str(document["id"]), written[key], sent) for key, document in job.documents.items()
                )

    def _new_documents(self, drafts: Sequence[ListingDraft], taken: Collection[str]) -> dict[str, Document]:
        """The documents of new listings by key. Raises ListingError."""
        documents: dict[str, Document] = {}
        for draft in drafts:
            document = new_document(draft, self._signer.peer_id, self._default_addrs())
            key = keys.of_agent(str(document["id"]))
            if key in documents or key in taken or key in self._documents or self._book.get(str(document["id"])):
                raise ListingError(f"you already list {draft.name!r}; update it instead", "name")
            documents[key] = document
        return documents

    async def update(self, listing_id: str, patch: ListingPatch) -> Written:
        """Change an own listing. Raises UnknownListingError, NotOwnerError, ListingError."""
        async with self._turn:
            key = keys.of_agent(listing_id)
            document = patched(self._documents.get(key) or _document_of(self._mine(listing_id)), patch)
            return (await self._put({key: document}))[key]

    async def delist(self, listing_id: str) -> Written:
        """Remove an own listing. Raises UnknownListingError, NotOwnerError."""
        async with self._turn:
            key = keys.of_agent(listing_id)
            if key not in self._documents:
                self._mine(listing_id)
            await trio.to_thread.run_sync(self._store.drop_own, [key])
            self._documents.pop(key, None)
            self._announcer.forget(key)
            written = await self._writer.write({}, [key])
            if not written:
                raise UnknownListingError(f"{listing_id} was removed already; it will not be put back")
            return written[-1]

    async def speak_betar_go(self) -> bool:
        """A Go betar was seen: switch an automatic dialect over for good. Returns whether that changed anything."""
        if self._choice != "auto" or self.dialect == BETAR_GO:
            return False
        self.dialect = BETAR_GO
        await trio.to_thread.run_sync(self._store.put_setting, _DIALECT, BETAR_GO)
        return True

    async def round(self) -> tuple[Repair, ...]:
        """Put own listings again that are missing, replaced, stale or in the other dialect."""
        async with self._turn:
            own = dict(self._documents)
            if not own:
                return ()
            winners = await trio.to_thread.run_sync(self._store.winners, list(own))
            values = {key: winner.value for key, winner in winners.items()}
            due = self._announcer.due(own, values, self.dialect, self._clock())
            addrs = list(self._default_addrs())
            for key in (key for key, document in own.items() if addrs and not document["addrs"]):
                own[key] = {**own[key], "addrs": addrs}
                due[key] = Why.ADDRESSED
            await self._put({key: own[key] for key in due})
            return tuple(Repair(str(own[key]["id"]), str(own[key]["name"]), why) for key, why in due.items())

    async def _put(self, documents: Mapping[str, Document]) -> dict[str, Written]:
        """Remember documents and write their values; the delta that carries each key."""
        if not documents:
            return {}
        now = int(self._clock())
        rendered: dict[str, Rendered] = {
            key: render(document, self.dialect, self._signer, now) for key, document in documents.items()
        }
        changed = {key: each for key, each in documents.items() if self._documents.get(key) != each}
        files = dict(each.file for each in rendered.values() if each.file)

        def keep() -> None:
            if files:
                self._store.put_files(files)
            if changed:
                self._store.put_own({key: json.dumps(document) for key, document in changed.items()})

        await trio.to_thread.run_sync(keep)
        self._documents.update(changed)
        for key, each in rendered.items():
            self._announcer.wrote(key, each.value)
        written = await self._writer.write({key: each.value for key, each in rendered.items()})
        return {span.key: each for each in written for span in each.node.delta.elements}

    def _mine(self, listing_id: str) -> Listing:
        listing = self._book.get(listing_id)
        if listing is None:
            raise UnknownListingError(f"no listing has the id {listing_id!r}; betar-tui list shows them")
        if not listing.mine:
            raise NotOwnerError(
                f"{listing.name} belongs to {listing.seller_id or 'another peer'}, only they can change it"
            )
        return listing


def _distinct(written: Iterable[Written]) -> list[Written]:
    """Each delta once, though it may carry many listings."""
    return list({each.node.cid: each for each in written}.values())


def _document_of(listing: Listing) -> Document:
    """The document of an own listing that this data directory did not write: another device's, with our key."""
    document: Document = {
        **listing.extra,
        "id": listing.id,
        "name": listing.name,
        "price": listing.price,
        "metadata": listing.metadata if not isinstance(listing.metadata, str) else {"description": listing.description},
        "seller_id": listing.seller_id,
        "addrs": list(listing.addrs),
        "protocols": list(listing.protocols),
    }
    if listing.token_id:
        document["token_id"] = listing.token_id
    return document
