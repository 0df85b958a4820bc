"""A web server over a folder that understands Range, as those of the trade do."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final
from urllib.parse import unquote

__all__ = ["serving_ranges"]

_RANGE: Final = re.compile(r"bytes=([0-9]+)-([0-9]+)\Z")


@contextmanager
def serving_ranges(folder: Path) -> Iterator[str]:
    """Serve the files of ``folder``, without ETags; the address, gone with the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base has it
            pass

        def _answer(self, *, with_body: bool) -> None:
            place = folder / unquote(self.path).lstrip("/")
            if not place.is_file():
                self.send_error(404)
                return
            data = place.read_bytes()
            wanted = _RANGE.match(self.headers.get("Range", ""))
            first, last = (int(wanted[1]), int(wanted[2])) if wanted else (0, len(data) - 1)
            self.send_response(206 if wanted else 200)
            self.send_header("Content-Length", str(last - first + 1))
            self.send_header("Last-Modified", self.date_time_string(int(place.stat().st_mtime)))
            if wanted:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.end_headers()
            if with_body:
                self.wfile.write(data[first : last + 1])

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
