"""A headless Chromium, driven over a pipe by its DevTools protocol: no port, no driver, nothing to install but it."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome")
FOUND = next((path for name in NAMES if (path := shutil.which(name))), None)
NOT_RUN = f"NOT RUN: no browser found, wanted one of {', '.join(NAMES)}: the page was tested in none"
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
# The browser reads from handle 3 and writes to 4, one of which may be the other end's own.
_AS_3_AND_4 = """import fcntl, os, sys
ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in ({}, {})]
os.dup2(ends[0], 3), os.dup2(ends[1], 4)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Browser:
    """One page of a browser; ``console`` gathers every error and warning that it tells of."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 800, *, mobile: bool = False) -> None:
        assert FOUND
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        start = [sys.executable, "-c", _AS_3_AND_4.format(theirs_in, theirs_out)]
        self.console: list[str] = []
        self._buffer, self._number = b"", 0
        self._child = subprocess.Popen(
            [*start, FOUND, *_FLAGS, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._session = ""
        target = next(one for one in self._targets() if one["type"] == "page")["targetId"]
        self._session = self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.command(f"{domain}.enable")
        self.resize(width, height, mobile=mobile)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._session = ""
        self.command("Browser.close")
        self._child.wait(20)
        os.close(self._in)
        os.close(self._out)

    def command(self, method: str, **words: Any) -> Any:
        """What the browser answers; what it tells meanwhile goes to ``console``."""
        self._number += 1
        session = {"sessionId": self._session} if self._session else {}
        said = {"id": self._number, "method": method, "params": words, **session}
        os.write(self._out, json.dumps(said).encode() + b"\0")
        while (answer := self._heard()).get("id") != self._number:
            self._noted(answer)
        assert "error" not in answer, (method, answer["error"])
        return answer["result"]

    def resize(self, width: int, height: int, *, mobile: bool = False) -> None:
        scale = 2 if mobile else 1
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=mobile
        )

    def open(self, url: str) -> None:
        self.command("Page.navigate", url=url)
        self.until("document.readyState === 'complete'")

    def run(self, script: str) -> Any:
        """What an expression is, a promise awaited."""
        done = self.command("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def until(self, condition: str, seconds: float = 20) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, (
                f"never true: {condition}; {self.run('document.body.innerText')}; {self.console}"
            )
            time.sleep(0.02)

    def press(self, key: str) -> None:
        text = {"text": key} if len(key) == 1 else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key)

    def point(self, selector: str, *, click: bool = False) -> None:
        """Move the pointer to the middle of what the selector finds first."""
        middle = f"""(() => {{ const one = document.querySelector({json.dumps(selector)});
            one.scrollIntoView({{ block: 'center' }}); const at = one.getBoundingClientRect();
            return [at.x + at.width / 2, at.y + at.height / 2]; }})()"""
        x, y = self.run(middle)
        self.command("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased") if click else ():
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    def _targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while not found:
            found = [one for one in self.command("Target.getTargets")["targetInfos"] if one["type"] == "page"]
        return found

    def _heard(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._in, 2**20)
            assert more, "the browser has ended"
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\0")
        heard: dict[str, Any] = json.loads(line)
        return heard

    def _noted(self, event: dict[str, Any]) -> None:
        words = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.console.append(str(words["exceptionDetails"]))
        elif event.get("method") == "Log.entryAdded" and words["entry"]["level"] in ("error", "warning"):
            self.console.append(f"{words['entry']['text']} {words['entry'].get('url', '')}")
        elif event.get("method") == "Runtime.consoleAPICalled" and words["type"] in ("error", "warning", "assert"):
            self.console.append(str(words["args"]))
