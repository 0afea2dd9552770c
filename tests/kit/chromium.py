"""A headless Chromium driven over its debugging pipe: pages from files, keys and clicks, pictures."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kit.needs import need

_READ, _WRITE = 3, 4
"""The file descriptors of Chromium's debugging pipe."""
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)


class Chromium:
    """One browser with one page; as a context, it ends with it."""

    def __init__(self, profile: Path, timeout_s: float = 60) -> None:
        program = shutil.which("chromium")
        need(program is not None, "no chromium on PATH")
        self._timeout_s, self._number, self._session = timeout_s, 0, ""
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        to_child, self._to = os.pipe()
        self._from, from_child = os.pipe()
        # Above 4, so that one is not overwritten by the other when they get their numbers.
        ends = [fcntl.fcntl(each, fcntl.F_DUPFD, 10) for each in (to_child, from_child)]

        def number_them() -> None:
            os.dup2(ends[0], _READ)
            os.dup2(ends[1], _WRITE)

        self._process = subprocess.Popen(
            [str(program), *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(_READ, _WRITE),
            preexec_fn=number_them,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for each in (to_child, from_child, *ends):
            os.close(each)
        os.set_blocking(self._from, False)
        (page,) = [each for each in self("Target.getTargets")["targetInfos"] if each["type"] == "page"][:1]
        self._session = self("Target.attachToTarget", targetId=page["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self(f"{domain}.enable")

    def __enter__(self) -> Chromium:
        return self

    def __exit__(self, *unused: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def __call__(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the DevTools protocol."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]
            self.events.append(answer)

    def _next(self) -> dict[str, Any]:
        until = time.monotonic() + self._timeout_s
        while b"\0" not in self._buffer:
            assert time.monotonic() < until, "Chromium says nothing"
            try:
                self._buffer += os.read(self._from, 1 << 20)
            except BlockingIOError:
                time.sleep(0.005)
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    def look(self, width: int, height: int, scheme: str = "light", mobile: bool = False) -> None:
        """The size of the window in CSS pixels, and the color scheme."""
        self("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, path: Path) -> None:
        """Loads a page, and waits until it has drawn itself."""
        self("Page.navigate", url=path.as_uri())
        self.wait("document.body?.dataset.drawn === 'true'")

    def value(self, script: str) -> Any:
        """What an expression of JavaScript comes to."""
        result = self("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, script: str) -> None:
        """Until an expression holds."""
        until = time.monotonic() + self._timeout_s
        while not self.value(script):
            assert time.monotonic() < until, f"never: {script}"
            time.sleep(0.02)

    def click(self, x: float, y: float) -> None:
        """A click at a place of the window."""
        self("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int) -> None:
        """A key by its name and its code."""
        for kind in ("keyDown", "keyUp"):
            self("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def picture(self, path: Path, whole: bool = True) -> None:
        """What is seen, as a PNG."""
        options: Mapping[str, Any] = {"captureBeyondViewport": whole}
        if whole:
            size = self("Page.getLayoutMetrics")["cssContentSize"]
            options = {**options, "clip": {**size, "scale": 1}}
        path.write_bytes(base64.b64decode(self("Page.captureScreenshot", format="png", **options)["data"]))

    @property
    def faults(self) -> list[str]:
        """Errors that the page logged or raised."""
        return [
            json.dumps(each["params"])[:500]
            for each in self.events
            if each.get("method") == "Runtime.exceptionThrown"
            or (each.get("method") == "Log.entryAdded" and each["params"]["entry"]["level"] == "error")
        ]

    @property
    def requests(self) -> list[str]:
        """What was asked for, but files, data and blobs."""
        urls = [
            each["params"]["request"]["url"]
            for each in self.events
            if each.get("method") == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith(("file:", "data:", "blob:", "about:"))]
