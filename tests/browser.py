"""Opens a page in a headless browser, behind a proxy that answers for the page alone and notes every other request."""

import http.server
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

ADDRESS = "http://page.test/"
_FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --hide-scrollbars --dump-dom"
).split()
_OWN = ("google.com", "googleapis.com", "gvt1.com")  # what the browser asks for by itself at its start


@dataclass(frozen=True)
class Visit:
    """What became of a page: the document after loading, its picture, the addresses that it asked for."""

    dom: str
    screenshot: Path
    requests: list[str]


class Browser:
    """A browser's program and an empty folder for its profiles and pictures."""

    def __init__(self, program: str, folder: Path):
        self.program, self.folder, self.visits = program, folder, 0

    def open(self, page: str, width: int = 1280, height: int = 2400, timeout_s: float = 60) -> Visit:
        """Load a page; raises if the browser fails or does not end in time."""
        asked: list[str] = []

        class Proxy(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_response(200 if self.path == ADDRESS else 404)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                if self.path == ADDRESS:
                    self.wfile.write(page.encode("utf-8"))

            def do_CONNECT(self):  # https
                asked.append(self.path)
                self.send_error(403)

            def log_message(self, *words):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.visits += 1
        screenshot = self.folder / f"page{self.visits}.png"
        try:
            done = subprocess.run(
                [
                    self.program,
                    *_FLAGS,
                    f"--user-data-dir={self.folder / f'profile{self.visits}'}",
                    f"--proxy-server=127.0.0.1:{server.server_port}",
                    f"--window-size={width},{height}",
                    f"--screenshot={screenshot}",
                    ADDRESS,
                ],
                capture_output=True,
                timeout=timeout_s,
                check=True,
            )
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        hosts = [address.removeprefix("http://").split("/")[0].split(":")[0] for address in asked]
        others = [a for a, host in zip(asked, hosts, strict=True) if a != ADDRESS and not host.endswith(_OWN)]
        assert ADDRESS in asked, f"{self.program} did not ask for the page"
        return Visit(done.stdout.decode("utf-8"), screenshot, others)
