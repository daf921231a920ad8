"""Where the events of a run come from: TensorBoard's data provider, or the files themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Content:
    """A tag's metadata, and how far it has come: a number that grows whenever the tag's events do."""

    metadata: bytes
    progress: int


class Source(Protocol):
    """Where the events of one run come from."""

    def tags(self) -> dict[str, Content]: ...

    def read(self, tags: list[str]) -> dict[str, list[bytes]]:
        """Payloads of each tag; a tag that cannot be read now is left out, and asked for again at the next update."""
        ...


def revision(contents: Mapping[str, Content], archived: int = 0) -> int:
    """A number below 2^32 that changes whenever any tag of a run, or its archive, does."""
    return (sum(content.progress for content in contents.values()) + archived) % (1 << 32)
