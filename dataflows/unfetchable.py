"""Records that no client can fetch, and when to pass over them.

The client reports them as errors of their partition and tries again without end. With librdkafka
2.x these are batches that do not decompress, or that would take too much memory to, and batches
that are damaged.
"""

from __future__ import annotations

from typing import Final

from confluent_kafka import KafkaError

__all__ = ["TRIES", "Unfetchable"]

TRIES: Final = 10  # a tenth of a second apart, in which a damage on the way would be gone
_CODES: Final = frozenset(
    {
        KafkaError._BAD_COMPRESSION,
        KafkaError._BAD_MSG,
        KafkaError._INCONSISTENT,
        KafkaError._NOT_IMPLEMENTED,  # a codec or a format that the client does not have
        KafkaError._UNDERFLOW,
        KafkaError.INVALID_MSG,
    }
)


class Unfetchable:
    """Counts failures at one place of a partition."""

    def __init__(self) -> None:
        self._offset = -1
        self._failures = 0
        self._passed = -2  # no offset follows it

    @staticmethod
    def is_one(error: KafkaError) -> bool:
        """Whether the error is about what stands there, not about the way to it."""
        return error.code() in _CODES

    def is_to_pass(self, offset: int) -> bool:
        """Count a failure; return whether to go on behind this offset.

        The records of a batch are fetched together. So behind one that was passed over, the next
        one is tried once.

        Args:
            offset: what was to be fetched. The error names the first offset of the batch, which may
                lie before it.
        """
        if offset != self._offset:
            self._offset, self._failures = offset, 0
        self._failures += 1
        if self._failures < TRIES and offset != self._passed + 1:
            return False
        self._passed = offset
        return True
