"""Debian's Chromium, headless: opens a page of ours and says what a reader would see.

It is spoken to in the DevTools protocol over two pipes (``--remote-debugging-pipe``): messages of JSON, each ended by a
zero byte, read from the browser's descriptor 3 and written to its 4. No port is opened, nothing is fetched.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import select
import signal
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from tests.peers.errors import PeerProblem

PROGRAM: Final = "/usr/bin/chromium"
SECONDS: Final = 60.0
FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-pipe",
)


class Chromium:
    """One browser with one page."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="ss-chromium-", dir="/tmp", ignore_cleanup_errors=True)
        self._number = 0
        self._session = ""
        self._buffer = b""
        self.requested: list[str] = []
        """Every address that the page asked for, its own included."""
        self._loaded: set[str] = set()
        """The documents that are whole, by their loaders: an event may come before the answer that tells its loader."""

    def __enter__(self) -> Self:
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        # The browser finds its ends at 3 and 4, whatever numbers they have here, so they must not be these.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (theirs_in, theirs_out)]
        actions = [
            *((os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in range(3)),
            *((os.POSIX_SPAWN_DUP2, end, number) for number, end in enumerate(ends, start=3)),
        ]
        command = [PROGRAM, *FLAGS, f"--user-data-dir={self._directory.name}/profile"]
        self._pid = os.posix_spawn(PROGRAM, command, os.environ, file_actions=actions, setsid=True)
        for end in (theirs_in, theirs_out, *ends):
            os.close(end)
        target = self._call("Target.createTarget", {"url": "about:blank"})["targetId"]
        self._session = self._call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        for domain in ("Page", "Runtime", "Network"):
            self._call(f"{domain}.enable")
        self._call("Page.setLifecycleEventsEnabled", {"enabled": True})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.killpg(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        os.close(self._in)
        os.close(self._out)
        self._directory.cleanup()

    def open(
        self, page: Path, *, width: int = 1280, height: int = 900, dark: bool = False, printing: bool = False
    ) -> None:
        """Open a file, as wide and in the colours that are asked for."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        media = {"media": "print" if printing else "screen", "features": [scheme]}
        self._call("Emulation.setEmulatedMedia", media)
        loader = self._call("Page.navigate", {"url": page.as_uri()})["loaderId"]
        while loader not in self._loaded:
            self._read()

    def switch_scripts(self, *, on: bool) -> None:
        """Let pages that are opened from now on run scripts, or not."""
        self._call("Emulation.setScriptExecutionDisabled", {"value": not on})

    def ask(self, expression: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", {"expression": expression, "returnByValue": True})
        if "exceptionDetails" in answer:
            raise PeerProblem(f"the page raised: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key, such as ``Tab`` or ``Enter``."""
        codes = {"Tab": 9, "Enter": 13}
        event = {"key": key, "code": key, "windowsVirtualKeyCode": codes[key], "text": "\r" if key == "Enter" else ""}
        self._call("Input.dispatchKeyEvent", {"type": "keyDown", **event})
        self._call("Input.dispatchKeyEvent", {"type": "keyUp", **event})

    def screenshot(self, *, whole: bool = False) -> bytes:
        """What is seen, PNG; the whole page if asked for."""
        data = self._call("Page.captureScreenshot", {"captureBeyondViewport": whole})["data"]
        return base64.b64decode(data)

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self._call("Page.printToPDF")["data"])

    def _call(self, method: str, parameters: dict[str, Any] | None = None) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters or {}}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._out, data) :]
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise PeerProblem(f"chromium refused {method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _read(self) -> dict[str, Any]:
        end = time.monotonic() + SECONDS
        while b"\0" not in self._buffer:
            if not select.select([self._in], [], [], max(0.0, end - time.monotonic()))[0]:
                raise PeerProblem(f"expected chromium to answer within {SECONDS:.0f} s")
            part = os.read(self._in, 1 << 20)
            if not part:
                raise PeerProblem("chromium ended")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        if message.get("method") == "Network.requestWillBeSent":
            self.requested.append(message["params"]["request"]["url"])
        if message.get("method") == "Page.lifecycleEvent" and message["params"]["name"] == "load":
            self._loaded.add(message["params"]["loaderId"])
        return message
