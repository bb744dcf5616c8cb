"""Receipts: what a prediction was made of, sealed, so that a correction can bring it back.

The server keeps nothing. A receipt holds the event's id, the part, the bundle, the predicted class
and the features that the head saw; its seal (HMAC-SHA-256) shows that they are the server's own, so
nobody can slip made-up features into the training data. It can be read by who has it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import struct
import time
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np

from serving.problems import Problem

__all__ = ["Claim", "Receipts"]

PURPOSE: Final = b"sentistream feedback receipt 1"
SEAL_BYTES: Final = 32
LENGTH: Final = struct.Struct(">I")
VALID_S: Final = 24 * 3600


class Claim(NamedTuple):
    """What a receipt says.

    Attributes:
        id: of the event.
        face: index of the face in the prediction, None for the text.
        bundle: kind and version, such as `face/1.2.0`.
        predicted: the class that was given.
        features: as the encoder gave them.
    """

    id: str
    face: int | None
    bundle: str
    predicted: str
    features: tuple[float, ...]


class Receipts:
    """Seals claims and opens them again.

    Args:
        token: the seal is derived from it, so that several servers with one token take the receipts
            of each other, and a restart changes nothing; without one they end with the process.
        clock: epoch seconds.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.time) -> None:
        key = token.encode() if token else secrets.token_bytes(SEAL_BYTES)
        self._key = hmac.digest(key, PURPOSE, hashlib.sha256)
        self._clock = clock

    def seal(self, claim: Claim) -> str:
        """Return the receipt, URL-safe text; some 7 kB for a face."""
        head = json.dumps([*claim[:-1], int(self._clock())]).encode()
        body = LENGTH.pack(len(head)) + head + np.asarray(claim.features, "<f4").tobytes()
        return base64.urlsafe_b64encode(body + self._seal(body)).decode("ascii")

    def open(self, receipt: str) -> Claim:
        """Return what a receipt says.

        Raises:
            Problem: `bad_receipt`.
        """
        try:
            sealed = base64.b64decode(receipt, altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise Problem("bad_receipt", "the receipt is not base64") from None
        body, seal = sealed[:-SEAL_BYTES], sealed[-SEAL_BYTES:]
        if not hmac.compare_digest(seal, self._seal(body)):
            raise Problem(
                "bad_receipt",
                "the receipt was not made by this server, or was changed; ask for a new prediction "
                "with receipt=true",
            )
        # All below was written by `seal`.
        (length,) = LENGTH.unpack_from(body)
        start = LENGTH.size + length
        event_id, face, bundle, predicted, made_s = json.loads(body[LENGTH.size : start])
        if self._clock() - made_s > VALID_S:
            raise Problem("bad_receipt", f"the receipt is older than {VALID_S // 3600} h")
        features = np.frombuffer(body[start:], "<f4").tolist()
        return Claim(event_id, face, bundle, predicted, tuple(features))

    def _seal(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)
