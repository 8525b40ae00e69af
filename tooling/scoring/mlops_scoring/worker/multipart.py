"""The parts of a `multipart/form-data` body, for entry scripts that read `request.files`."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from email.parser import BytesHeaderParser
from email.policy import HTTP
from os import PathLike
from pathlib import Path


class FileStorage:
    """One uploaded file, with the attributes of Werkzeug's class of this name that scripts use."""

    def __init__(self, content: bytes, filename: str, name: str, content_type: str | None) -> None:
        """Hold the content in memory."""
        self.stream = io.BytesIO(content)
        self.filename = filename
        self.name = name
        self.content_type = content_type
        self.mimetype = (content_type or "").partition(";")[0].strip().lower()

    def read(self, size: int = -1) -> bytes:
        """Bytes of the content."""
        return self.stream.read(size)

    def save(self, target: str | PathLike[str]) -> None:
        """Write the content to a file."""
        with Path(target).open("wb") as file:
            shutil.copyfileobj(self.stream, file)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move within the content, as PIL and others do when handed the storage itself."""
        return self.stream.seek(offset, whence)

    def tell(self) -> int:
        """Where the next read begins."""
        return self.stream.tell()

    def __iter__(self) -> Iterator[bytes]:
        """The lines."""
        return iter(self.stream)


def parse_multipart(body: bytes, boundary: str) -> tuple[list[tuple[str, str]], list[tuple[str, FileStorage]]]:
    """Split a form into its fields and its files (RFC 7578).

    Raises:
        ValueError: The body is not such a form.
    """
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, FileStorage]] = []
    delimiter = b"\r\n--" + boundary.encode("latin-1")
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ValueError("the multipart body does not end with its boundary")
    for piece in pieces[1:-1]:
        head, separator, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not separator:
            raise ValueError("a part of the multipart body has no end of headers")
        try:
            headers = BytesHeaderParser(policy=HTTP).parsebytes(head + b"\r\n\r\n")
            name = headers.get_param("name", "", "content-disposition")
            filename = headers.get_filename()
        except (LookupError, TypeError, AttributeError):  # the library's parser stumbles over some odd parameters
            raise ValueError("a part of the multipart body has headers that cannot be read") from None
        if filename is None:
            fields.append((str(name), content.decode("utf-8", "replace")))
        else:
            given = headers.get("content-type")
            content_type = None if given is None else str(given)
            files.append((str(name), FileStorage(content, filename, str(name), content_type)))
    return fields, files
