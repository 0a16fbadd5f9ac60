"""A headless Chromium for tests, driven by the DevTools protocol over a pipe: no driver, no package."""

from __future__ import annotations

import base64
import itertools
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
MISSING = "no Chromium on PATH (chromium, chromium-browser, google-chrome, chrome)"
FLAGS = (
    *("--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--hide-scrollbars", "--disable-dev-shm-usage", "--disable-background-networking", "--force-color-profile=srgb"),
)
BOXES = """[...document.querySelectorAll('svg, img')].filter(e => e.checkVisibility()).map(e => {
  const b = e.getBoundingClientRect(), p = e.parentElement.getBoundingClientRect();
  const name = e.getAttribute('aria-label') || e.getAttribute('alt');
  return {name: name, left: b.left, right: b.right, width: b.width, height: b.height, parent: p.right,
          loaded: e.tagName !== 'IMG' || e.naturalWidth > 0};
})"""
OVERLAPS = """(() => { const found = [];
for (const svg of [...document.querySelectorAll('svg')].filter(e => e.checkVisibility())) {
  const texts = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBoundingClientRect()]);
  const page = svg.getBoundingClientRect();
  texts.forEach(([a, p], i) => {
    if (p.left < page.left - 1.5 || p.right > page.right + 1.5 || p.top < page.top - 1.5 || p.bottom > page.bottom + 1.5)
      found.push('cut: ' + a);
    for (const [b, q] of texts.slice(i + 1)) {
      const x = Math.min(p.right, q.right) - Math.max(p.left, q.left);
      const y = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
      if (x > 1 && y > 4) found.push(a + ' | ' + b);
    }
  });
}
return found; })()"""
"""Texts of a chart that lie on each other or leave their chart."""


class Browser:
    """One page in a browser of its own. What it requested and what its console said is kept."""

    def __init__(self) -> None:
        self.profile = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        (theirs_in, self.write), (self.read, theirs_out) = os.pipe(), os.pipe()

        def pipes() -> None:  # the protocol's file descriptors are 3 and 4
            kept = os.dup(theirs_in), os.dup(theirs_out)
            os.dup2(kept[0], 3)
            os.dup2(kept[1], 4)

        self.process = subprocess.Popen(
            [str(CHROMIUM), *FLAGS, f"--user-data-dir={self.profile.name}"],
            preexec_fn=pipes,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.numbers = itertools.count(1)
        self.unread = b""
        self.session: str | None = None
        self.events: list[dict] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_exception: object) -> None:
        try:
            self.session = None
            self.call("Browser.close")
            self.process.wait(10)
        except (OSError, TimeoutError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()
        os.close(self.write)
        os.close(self.read)
        self.profile.cleanup()

    def call(self, method: str, **parameters: object) -> dict:
        """Send a command and wait for its answer; events that arrive meanwhile are kept."""
        number = next(self.numbers)
        message = {"id": number, "method": method, "params": parameters}
        message |= {"sessionId": self.session} if self.session else {}
        os.write(self.write, json.dumps(message).encode() + b"\0")
        while (answer := self._message()).get("id") != number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _message(self, seconds: float = 240) -> dict:
        end = time.monotonic() + seconds
        while b"\0" not in self.unread:
            ready, *_ = select.select([self.read], [], [], max(end - time.monotonic(), 0))
            if not ready or not (piece := os.read(self.read, 1 << 20)):
                raise TimeoutError("the browser does not answer")
            self.unread += piece
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def open(self, path: Path, width: int, scheme: str = "light", media: str = "screen") -> None:
        """Load a file at a width, and wait until it stands."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.call("Emulation.setEmulatedMedia", media=media, features=features)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=path.resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self._message())
        self.events = [event for event in self.events if event.get("method") != "Page.loadEventFired"]

    def ask(self, expression: str) -> object:
        """The value of a script's expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    @property
    def requests(self) -> list[str]:
        """Everything that was asked of a disk or a network; what stands in the page itself (`data:`) is not."""
        sent = [e["params"]["request"]["url"] for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        return [url for url in sent if not url.startswith("data:")]

    @property
    def complaints(self) -> list[dict]:
        """Messages of the console and the log, and exceptions."""
        methods = ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")
        return [event["params"] for event in self.events if event.get("method") in methods]

    def screenshot(self) -> bytes:
        """The whole page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def pdf(self) -> bytes:
        """The page as it prints."""
        self.call("Emulation.setEmulatedMedia", media="print")
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"])
