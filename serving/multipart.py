"""Takes `multipart/form-data` (RFC 7578) apart in memory; the frameworks' own writes to files."""

from __future__ import annotations

from email.message import Message
from typing import Final, NamedTuple

from serving.problems import Problem

__all__ = ["Part", "parts_of"]

HEADER_BYTES: Final = 8192  # of one part
BOUNDARY_CHARS: Final = 70  # RFC 2046, 5.1.1


class Part(NamedTuple):
    """One field of a form.

    Attributes:
        name: of the field.
        content_type: lower case without parameters, None if the part does not say.
        value: its bytes, a view into the body until they are needed.
        is_file: whether it has a file name, which itself is not looked at.
    """

    name: str
    content_type: str | None
    value: bytes
    is_file: bool


def parts_of(body: bytes, content_type: str, most: int) -> list[Part]:
    """Return the fields of a form in their order.

    Args:
        body: all of it.
        content_type: of the request, with the boundary.
        most: parts that are allowed.

    Raises:
        Problem: `bad_body` if it is no form, `too_many_items` if there are more parts.
    """
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if not boundary or len(boundary) > BOUNDARY_CHARS or not boundary.isascii():
        raise Problem("bad_body", "the content type names no boundary of at most 70 characters")
    mark = b"\r\n--" + boundary.encode("ascii")
    # The first mark may stand at the very beginning, without a line before it.
    pieces = (b"\r\n" + body).split(mark, most + 2)
    if len(pieces) < 2:
        raise Problem("bad_body", f"the boundary {boundary!r} does not occur in the body")
    parts: list[Part] = []
    for piece in pieces[1:]:
        if piece.startswith(b"--"):
            return parts
        if len(parts) == most:
            raise Problem("too_many_items", f"the form has more than {most} parts")
        parts.append(_part(piece))
    raise Problem("bad_body", "the form does not end with its boundary; was it cut off?")


def _part(piece: bytes) -> Part:
    # What is between the boundary and the end of its line is padding.
    padding, newline, rest = piece.partition(b"\r\n")
    head, gap, value = (b"\r\n" + rest).partition(b"\r\n\r\n")
    if padding.strip() or not newline or not gap or len(head) > HEADER_BYTES:
        raise Problem("bad_body", "a part of the form has no headers, or they are too long")
    header = Message()
    for line in head.decode("utf-8", "replace").split("\r\n"):
        field, colon, text = line.partition(":")
        if colon and field.strip().lower() in ("content-disposition", "content-type"):
            # A second one of the same name would be a list.
            del header[field.strip()]
            header[field.strip()] = text.strip().replace("\n", " ").replace("\r", " ")
    name = header.get_param("name", header="content-disposition")
    if header.get_content_disposition() != "form-data" or not isinstance(name, str):
        raise Problem("bad_body", "a part of the form is no form-data with a name")
    declared = header.get("content-type")
    return Part(
        name,
        declared.partition(";")[0].strip().lower() if isinstance(declared, str) else None,
        value,
        header.get_param("filename", header="content-disposition") is not None,
    )
