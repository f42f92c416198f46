"""Articles from PMC's service on S3, each object fetched once.

    cache/newest/PMC12                  the key of the metadata of the version that was the newest, or nothing
    cache/metadata/PMC12.10.json        what the service said of it
    cache/PMC12.10/<name>               its XML and pictures, sums checked

A build that was killed goes on with what is there, and all stages read the same bytes whatever the service
publishes meanwhile. Below `cache/` lies what a folder source reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime

from dataset_builder.pmc.client import PmcClient
from dataset_builder.pmc.eligibility import NOT_THERE, dropped, entry_of
from dataset_builder.pmc.inventory import forget_inventory, inventory_numbers
from dataset_builder.pmc.layout import ArticleMetadata, LayoutChanged, pmcids_of, read_metadata
from dataset_builder.records import Drop, Entry, Media
from dataset_builder.store import Store
from rocov2_eval.errors import RejectedInput

CACHE = "cache"
_NEWEST = f"{CACHE}/newest"


class S3Source:
    """The service, and what a build has fetched from it; all articles of an inventory are its candidates."""

    def __init__(
        self,
        client: PmcClient,
        store: Store,
        *,
        manuscripts: bool = False,
        today: Callable[[], date] = lambda: datetime.now(UTC).date(),
    ) -> None:
        self._client = client
        self._store = store
        self._manuscripts = manuscripts
        self._today = today

    def candidates(self) -> Iterator[str]:
        """Return every article of the inventory, ascending by number; the same ones when asked again.

        Raises:
            FetchFailed: The inventory cannot be had.
            LayoutChanged: It is not what this program knows.
        """
        numbers = inventory_numbers(self._client, self._store, today=self._today())
        return pmcids_of(numbers)

    def entry(self, pmcid: str) -> Entry | Drop:
        """Return what the newest version of an article offers, or why it is left out.

        Raises:
            FetchFailed: The service does not answer as it should.
            LayoutChanged: It answers something that this program does not know.
        """
        found = self._newest(pmcid)
        if found is None:
            return dropped(pmcid, NOT_THERE)
        key, content = found
        metadata = read_metadata(content, key)
        _require_own_files(metadata, pmcid, key)
        return entry_of(metadata, manuscripts=self._manuscripts)

    def read(self, media: Media) -> bytes | None:
        """Return a file of an article, None if the service does not have it.

        Raises:
            FetchFailed: It could not be had in spite of every retry, or its sum never agreed.
        """
        name = f"{CACHE}/{media.key}"
        content = self._store.read(name)
        if content is None:
            content = self._client.read(media.key, media.md5)
            if content is not None:
                self._store.write(name, content)
        return content

    def state(self, pmcids: Iterable[str]) -> str:
        """Return nothing: what the service said stands in the build until it is asked anew."""
        del pmcids
        return ""

    def _newest(self, pmcid: str) -> tuple[str, bytes] | None:
        """Return key and content of the metadata of the version that was the newest when first asked."""
        choice = f"{_NEWEST}/{pmcid}"
        remembered = self._store.read(choice)
        if remembered == b"":
            return None
        if remembered is not None:
            key = remembered.decode(errors="replace")
            content = self._store.read(f"{CACHE}/{key}") if key.startswith(f"metadata/{pmcid}.") else None
            if content is None:
                raise RejectedInput(f"{choice}: {key!r} is not in the build; remove this file to ask again")
            return key, content
        found = self._client.newest_document(pmcid)
        if found is not None:
            self._store.write(f"{CACHE}/{found[0]}", found[1])
        # Only now, so that a choice never stands without what it chose.
        self._store.write(choice, found[0].encode() if found else b"")
        return found


def forget_answers(store: Store) -> None:
    """Forget what the service said of every article and which inventory was chosen, but no file of a version.

    The next run asks anew which versions are the newest and what has been retracted since.
    """
    for name in list(store.names(_NEWEST)):
        store.remove(name)
    forget_inventory(store)


def _require_own_files(metadata: ArticleMetadata, pmcid: str, key: str) -> None:
    """Refuse metadata of another article, and files outside the prefix of their version.

    Besides being another layout, such a key could name a file of ours in the store.
    """
    if metadata.pmcid != pmcid:
        raise LayoutChanged(f"{key}: the metadata are of {metadata.pmcid}")
    prefix = f"{pmcid}.{metadata.version}/"
    files = (*metadata.media, metadata.xml) if metadata.xml else metadata.media
    for media in files:
        if not media.key.startswith(prefix):
            raise LayoutChanged(f"{key}: {media.key!r} is not below {prefix}")
