"""The seller's side of a peer: publish, update and delist listings, and keep them published.

The intention of a person is recorded in the transaction that carries it out, so that a crash ends in both or in
neither. Reads the replica's values and writes through the writer; knows no network."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, field

import trio

from betar_tui.concurrency import FastLock
from betar_tui.errors import AlreadyListedError, ListingError, NotOwnerError, StoreError, UnknownListingError
from betar_tui.market.compose import Document, Rendered, new_document, patched, render
from betar_tui.market.fields import BETAR_GO, DOCUMENTS
from betar_tui.market.marketplace import Listing, ListingDraft, ListingPatch, Repaired, RepublishReason
from betar_tui.market.names import unknown_listing
from betar_tui.market.own import OwnListings, adopted_listing, records, withdrawal_record
from betar_tui.market.provenance import Signer
from betar_tui.market.republish import NOTHING_SAID, OwnListing, RepublishPolicy, Said
from betar_tui.market.seller_ports import DeltaWriter, Listings, SellerStore
from betar_tui.market.withdrawal import KEPT, MAX_TIMESTAMP, withdrawal
from betar_tui.replica import Written, keys

_DIALECT = "dialect"


@dataclass(frozen=True, slots=True)
class Published:
    """A new own listing and the delta that carries it."""

    listing_id: str
    written: Written


@dataclass(frozen=True, slots=True)
class _RenderedDocument:
    """A document rendered at a time, in Unix seconds."""

    document: Document
    rendered: Rendered
    at: int


@dataclass(slots=True, eq=False)
class _Job:
    """One call of `publish` under way."""

    drafts: tuple[ListingDraft, ...]
    documents: dict[str, Document] = field(default_factory=dict)
    values: dict[str, _RenderedDocument] = field(default_factory=dict)
    published: tuple[Published, ...] | None = None
    error: Exception | None = None

    @property
    def done(self) -> bool:
        return self.published is not None or self.error is not None


class Seller:
    """Own listings of one peer. `default_addrs` are its dialable multiaddrs, asked for at each publish.

    `maintaining` says whether `maintain` is at work: nothing else is written meanwhile."""

    def __init__(
        self,
        store: SellerStore,
        writer: DeltaWriter,
        signer: Signer,
        catalogue: Listings,
        *,
        dialect: str,
        refresh_interval: float,
        clock: Callable[[], float],
        default_addrs: Callable[[], tuple[str, ...]],
    ) -> None:
        self._store = store
        self._writer = writer
        self._signer = signer
        self._catalogue = catalogue
        self.dialect_choice = dialect
        self._clock = clock
        self._default_addrs = default_addrs
        self._jobs: list[_Job] = []
        self._own = OwnListings(store)
        self._policy = RepublishPolicy(refresh_interval, self._render_at)
        self.dialect = self._dialect_of(dialect)
        # Every change reads a document and puts its value: one at a time.
        self._lock = FastLock()
        self.maintaining = False

    async def publish(self, drafts: Sequence[ListingDraft]) -> tuple[Published, ...]:
        """Store new listings, in order. Raises ListingError and then stores nothing.

        Calls that come while one is at work are written together after it: a burst makes few deltas."""
        if not drafts:
            await trio.lowlevel.checkpoint()
            return ()
        job = _Job(tuple(drafts))
        self._jobs.append(job)
        try:
            async with self._lock:
                if not job.done:
                    jobs, self._jobs = self._jobs, []
                    if jobs == [job]:
                        await self._publish_jobs(jobs)
                    else:
                        # Others wait for this batch: the caller that began it may be cancelled, the batch may not.
                        with trio.CancelScope(shield=True):
                            await self._publish_jobs(jobs)
        except BaseException:
            # Its caller has gone: it must not be published later.
            if job in self._jobs:
                self._jobs.remove(job)
            raise
        if job.published is None:
            raise job.error or ListingError("the listing was not written")
        return job.published

    async def update(self, listing_id: str, patch: ListingPatch) -> Written:
        """Change an own listing, whose name no other one of them may have. Raises UnknownListingError, NotOwnerError,
        ListingError."""
        async with self._lock:
            key = keys.of_agent(listing_id)
            said = await self._said([key])
            own_listing = await self._newest(key, said)
            if own_listing is None:
                listing = self._require_own(listing_id)
                own_listing = adopted_listing(listing, self._catalogue.document(listing))
            document = patched(own_listing.document, patch)
            if document["name"] != own_listing.document["name"] and self._own.names[document["name"]]:
                raise AlreadyListedError(f"you already list {document['name']!r}; choose another name", "name")
            return (await self._put({key: self._rendered(document, self._timestamp(key, said))}))[key]

    async def _newest(self, key: str, said: Mapping[str, Said]) -> OwnListing | None:
        """The record of an own listing; None where another device has changed it since, or there is none. Raises
        UnknownListingError where another device has delisted it."""
        own_listing = self._own.listings.get(key)
        if own_listing is None:
            return None
        winners = await trio.to_thread.run_sync(self._store.winners, [key])
        value = winners[key].value if key in winners else None
        reason = self._policy.newer(own_listing, said.get(key, NOTHING_SAID), value)
        if reason is RepublishReason.WITHDRAWN:
            raise UnknownListingError(
                f"{own_listing.document['name']} was delisted on another device with this key; publish it again"
            )
        return own_listing if reason is None else None

    async def delist(self, listing_id: str) -> Written:
        """Remove an own listing, and say that it is withdrawn. Raises UnknownListingError, NotOwnerError."""
        async with self._lock:
            key = keys.of_agent(listing_id)
            if key not in self._own.listings:
                self._require_own(listing_id)
            withdrawn, at = keys.of_withdrawal(listing_id), self._timestamp(key, await self._said([key]))
            written = await self._writer.write(
                {withdrawn: withdrawal(listing_id, self._signer, at)},
                [key],
                {**records({key: None}), **withdrawal_record(withdrawn, at)},
            )
            self._own.removing(key, withdrawn, at)
            self._policy.forget(key)
            await self._own.forget([key])
            return written[-1]

    async def speak_betar_go(self) -> bool:
        """Switch an automatic dialect to Go betar's for good, since one was seen. Returns whether it changed."""
        async with self._lock:
            if self.dialect_choice != "auto" or self.dialect == BETAR_GO:
                return False
            await trio.to_thread.run_sync(self._store.put_setting, _DIALECT, BETAR_GO)
            self.dialect = BETAR_GO
            return True

    async def choose_dialect(self, choice: str) -> None:
        """Write in this dialect from now on; "auto" goes by whether a Go betar was ever seen."""
        async with self._lock:
            self.dialect_choice = choice
            self.dialect = await trio.to_thread.run_sync(self._dialect_of, choice)

    def _dialect_of(self, choice: str) -> str:
        if choice != "auto":
            return choice
        return BETAR_GO if self._store.setting(_DIALECT) == BETAR_GO else DOCUMENTS

    async def maintain(self) -> tuple[Repaired, ...]:
        """Finish removals, and drop withdrawals that are old; put own listings again that are missing, replaced, stale or in
        the other dialect, all in as few deltas as carry them.

        A listing of which something waits to be looked at is left to a later round: its map may have been changed by a word
        of this seller from another device, which is not known yet."""
        async with self._lock:
            self.maintaining = True
            try:
                return await self._maintain()
            finally:
                self.maintaining = False

    async def _maintain(self) -> tuple[Repaired, ...]:
        await self._finish_removals()
        await self._drop_withdrawals()
        own = dict(self._own.listings)
        if not own:
            return ()
        winners = await trio.to_thread.run_sync(self._store.winners, list(own))
        # After the map was read: what has changed it by then either waits or is known.
        for key in await trio.to_thread.run_sync(self._catalogue.waiting, list(own)):
            del own[key]
        said = await self._said(own)
        values = {key: winner.value for key, winner in winners.items()}
        due = self._policy.due(own, values, said, self.dialect, self._default_addrs(), self._clock())
        return await self._repair(due, own, said)

    async def _finish_removals(self) -> None:
        """Do what a crash left undone of removals."""
        removals = list(self._own.removals)
        if not removals:
            return
        said = await self._said(removals)
        puts: dict[str, bytes] = {}
        own: dict[str, str] = {}
        for key in removals:
            listing_id = keys.agent_id(key)
            if listing_id is not None:
                withdrawn = keys.of_withdrawal(listing_id)
                at = self._own.withdrawals.get(withdrawn, self._timestamp(key, said))
                puts[withdrawn] = withdrawal(listing_id, self._signer, at)
                own.update(withdrawal_record(withdrawn, at))
                self._own.removing(key, withdrawn, at)
        there = await trio.to_thread.run_sync(self._store.winners, list(puts))
        puts = {key: value for key, value in puts.items() if key not in there or there[key].value != value}
        await self._writer.write(puts, removals, own)
        await self._own.forget(removals)

    async def _drop_withdrawals(self) -> None:
        """Remove withdrawals from the map that every peer must know by now."""
        old = [key for key, at in self._own.withdrawals.items() if self._clock() - at > KEPT]
        if old:
            await self._writer.write({}, old)
            await self._own.forget(old)

    async def _repair(
        self, due: Mapping[str, RepublishReason], own: Mapping[str, OwnListing], said: Mapping[str, Said]
    ) -> tuple[Repaired, ...]:
        values: dict[str, _RenderedDocument] = {}
        troubles: dict[str, str] = {}
        addrs = self._default_addrs()
        for key, reason in due.items():
            try:
                if reason is RepublishReason.ADOPTED:
                    listing = self._require_own(str(own[key].document["id"]))
                    await self._own.keep({key: adopted_listing(listing, self._catalogue.document(listing))})
                elif reason is RepublishReason.WITHDRAWN:
                    self._policy.forget(key)
                    await self._own.forget([key])
                else:
                    at = self._timestamp(key, said)
                    values[key] = self._rendered(own[key].document, at, addrs)
            except (ListingError, UnknownListingError, NotOwnerError) as error:
                troubles[key] = str(error)
        await self._put(values)
        now = self._clock()
        return tuple(
            Repaired(
                str(own[key].document["id"]),
                str(own[key].document["name"]),
                reason,
                now,
                troubles.get(key, ""),
            )
            for key, reason in due.items()
        )

    async def _publish_jobs(self, jobs: Sequence[_Job]) -> None:
        values: dict[str, _RenderedDocument] = {}
        addrs = self._default_addrs()
        for job in jobs:
            try:
                job.documents = self._new_documents(job.drafts, addrs)
            except Exception as error:  # the others are written all the same
                job.error = error
        unheard_of = self._unheard_of({key for job in jobs for key in job.documents})
        for job in jobs:
            try:
                said = await self._said_of_new(job.documents.keys() - unheard_of)
                job.values = self._new_values(job.documents, values, unheard_of, said, addrs)
                values.update(job.values)
            except Exception as error:
                job.error = error
        try:
            written = await self._put(values)
        except Exception as error:
            for job in jobs:
                job.error = job.error or error
            return
        for job in jobs:
            if not job.done:
                job.published = tuple(
                    Published(str(each.document["id"]), written[key]) for key, each in job.values.items()
                )

    def _new_documents(self, drafts: Sequence[ListingDraft], addrs: tuple[str, ...]) -> dict[str, Document]:
        """The documents of new listings by key. Raises ListingError."""
        documents: dict[str, Document] = {}
        for draft in drafts:
            document = new_document(draft, self._signer.peer_id, addrs)
            key = keys.of_agent(str(document["id"]))
            if key in documents:
                raise _listed(document)
            documents[key] = document
        return documents

    def _new_values(
        self,
        documents: Mapping[str, Document],
        taken: Collection[str],
        unheard_of: Collection[str],
        said: Mapping[str, Said],
        addrs: tuple[str, ...],
    ) -> dict[str, _RenderedDocument]:
        """The values of new listings by key; those `unheard_of` never had one. Raises ListingError."""
        for key, document in documents.items():
            shown = None if key in unheard_of else self._catalogue.get(str(document["id"]))
            if key in taken or key in self._own.listings or (shown is not None and shown.mine):
                raise _listed(document)
            if self._own.names[document["name"]]:  # that one was renamed
                raise _listed(document)
        return {key: self._rendered(document, self._timestamp(key, said), addrs) for key, document in documents.items()}

    async def _put(self, values: Mapping[str, _RenderedDocument]) -> dict[str, Written]:
        """Write values and record their documents. Returns the delta that carries each key."""
        if not values:
            return {}
        before = {key: self._own.listings.get(key) for key in values}
        listings = {key: OwnListing(dict(each.document), each.at) for key, each in values.items()}
        await self._own.keep_files(dict(each.rendered.file for each in values.values() if each.rendered.file))
        for each in values.values():
            if each.document["seller_id"] == self._signer.peer_id:
                self._signer.remember_own_value(each.rendered.value)
        try:
            written = await self._writer.write(
                {key: each.rendered.value for key, each in values.items()}, (), records(listings)
            )
        except Exception:
            # The first of several deltas may stand, but the caller sees a failure: it must not be kept published.
            with trio.CancelScope(shield=True):
                await self._own.keep({key: own_listing for key, own_listing in before.items() if own_listing})
                await self._own.forget([key for key, own_listing in before.items() if own_listing is None])
            raise
        self._own.kept(listings)
        return {span.key: each for each in written for span in each.node.delta.elements}

    def _rendered(self, document: Document, at: int, addrs: tuple[str, ...] | None = None) -> _RenderedDocument:
        """The document rendered with this timestamp, in Unix seconds. Raises ListingError."""
        own = self._default_addrs() if addrs is None else addrs
        return _RenderedDocument(document, render(document, self.dialect, self._signer, at, own), at)

    async def _said(self, names: Collection[str]) -> Mapping[str, Said]:
        """What the seller of these keys, on any device, has said last."""
        return await trio.to_thread.run_sync(self._catalogue.said, list(names))

    def _unheard_of(self, names: Collection[str]) -> Set[str]:
        """Those of these keys of listings of which nobody has ever said anything, as far as that is known without waiting:
        nearly all new ones. The merge has to look them up in any case."""
        withdrawals = {name: keys.of_withdrawal(keys.agent_id(name) or "") for name in names}
        try:
            found = self._store.unheard_of({*names, *withdrawals.values()})
        except StoreError:  # to look the listings up will raise it as well
            return frozenset()
        return {name for name, withdrawal in withdrawals.items() if name in found and withdrawal in found}

    async def _said_of_new(self, names: Collection[str]) -> Mapping[str, Said]:
        """What is said of keys of new listings: mostly nothing, which is found sooner than a thread starts."""
        if not names:
            return {}
        return await self._said(names) if self._catalogue.waiting(names) else self._catalogue.said(names)

    def _timestamp(self, key: str, said: Mapping[str, Said]) -> int:
        """The timestamp of the next word about an own listing, in Unix seconds. It never falls, whatever the clock says,
        since readers take the word with the greatest one for the last."""
        last = said.get(key, NOTHING_SAID).last
        if key in self._own.listings:
            last = max(last, self._own.listings[key].at)
        listing_id = keys.agent_id(key)
        if listing_id is not None:
            last = max(last, self._own.withdrawals.get(keys.of_withdrawal(listing_id), last))
        return min(max(int(self._clock()), last + 1), MAX_TIMESTAMP)

    def _render_at(self, document: Document, dialect: str, at: int, addrs: tuple[str, ...]) -> bytes:
        return render(document, dialect, self._signer, at, addrs).value

    def _require_own(self, listing_id: str) -> Listing:
        listing = self._catalogue.get(listing_id)
        if listing is None:
            raise unknown_listing(listing_id)
        if not listing.mine:
            raise NotOwnerError(
                f"{listing.name} belongs to {listing.seller_id or 'another peer'}, only they can change it"
            )
        return listing


def _listed(document: Document) -> AlreadyListedError:
    return AlreadyListedError(f"you already list {document['name']!r}; update it instead", "name")
