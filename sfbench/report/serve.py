"""The report folder over HTTP, on this machine only."""

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import BinaryIO


def make_server(folder: Path) -> ThreadingHTTPServer:
    """A server on loopback and a free port."""
    return ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))


class _Handler(SimpleHTTPRequestHandler):
    """Files, and parts of files: without byte ranges a browser cannot seek in a video."""

    def log_message(self, format: str, *values: object) -> None:  # noqa: A002 (the base's name)
        """A line for every video that is fetched would bury the address."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Headers, and the file or the part of it that was asked for."""
        path = Path(self.translate_path(self.path))
        span = self._span(path) if path.is_file() else None
        if span is None:
            return super().send_head()
        first, last, size = span
        with path.open("rb") as file:
            file.seek(first)
            part = file.read(last - first + 1)
        self.send_response(206)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        return BytesIO(part)

    def _span(self, path: Path) -> tuple[int, int, int] | None:
        """First and last byte asked for, and the file's size; None where the whole is sent."""
        unit, _, text = self.headers.get("Range", "").partition("=")
        start, _, end = text.partition("-")
        if unit != "bytes" or not start.isdecimal() or (end and not end.isdecimal()):
            return None
        size = path.stat().st_size
        first, last = int(start), min(int(end), size - 1) if end else size - 1
        return (first, last, size) if first <= last else None
