"""A headless Chromium, over the DevTools protocol.

What a page does is kept as it does it: what it asks for, what it complains of, which dialogs it opens.
"""

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from websockets.sync.client import connect

PATIENCE_S = 60


class Browser:
    def __init__(self):
        program = shutil.which("chromium")
        assert program, "no chromium: apt-get install chromium (./test does)"
        self.folder = tempfile.mkdtemp()
        arguments = ["--headless=new", "--remote-debugging-port=0", f"--user-data-dir={self.folder}", "--no-first-run", "--disable-gpu",
                     "--disable-dev-shm-usage", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                     # Nobody but this machine is asked, by the browser itself either.
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--hide-scrollbars"]
        if os.getuid() == 0:
            arguments.append("--no-sandbox")
        self.process = subprocess.Popen([program, *arguments, "about:blank"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        said = []
        for line in self.process.stderr:
            said.append(line)
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                self.address = found[1]
                break
        else:
            raise AssertionError(f"chromium ended: {''.join(said)}")
        self.socket = connect(self.address, max_size=None)
        self.last_id = 0
        self.pages = {}

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, method, session=None, **parameters):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        self.socket.send(json.dumps(message))
        return self.last_id

    def ask(self, method, session=None, **parameters):
        wanted = self.send(method, session, **parameters)
        while True:
            message = self.take()
            if message.get("id") == wanted:
                assert "error" not in message, (method, message)
                return message["result"]

    def take(self):
        message = json.loads(self.socket.recv(timeout=PATIENCE_S))
        page = self.pages.get(message.get("sessionId"))
        if page and "method" in message:
            page.told(message["method"], message["params"], message["sessionId"])
        return message

    def open(self, url, width=1280, height=900, is_dark=False):
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = Page(self, session)
        page.resize(width, height)
        page.dark(is_dark)
        self.ask("Page.navigate", session, url=url)
        return page


class Page:
    """A page, with the frames in it."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.frames = []
        self.asked, self.complaints, self.dialogs = [], [], []
        self.attach(session)

    def attach(self, session):
        self.browser.pages[session] = self
        for domain in ["Page", "Runtime", "Log", "Network", "Audits"]:
            self.browser.send(f"{domain}.enable", session)
        self.browser.send("Target.setAutoAttach", session, autoAttach=True, waitForDebuggerOnStart=False, flatten=True)

    def told(self, method, given, session):
        if method == "Target.attachedToTarget":
            self.frames.append(given["sessionId"])
            self.attach(given["sessionId"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(given["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(given["exceptionDetails"])
        elif method == "Runtime.consoleAPICalled" and given["type"] in ("error", "warning", "assert"):
            self.complaints.append(given["args"])
        elif method == "Log.entryAdded" and given["entry"]["level"] in ("error", "warning"):
            self.complaints.append(given["entry"]["text"])
        elif method == "Audits.issueAdded":
            self.complaints.append(given["issue"])
        elif method == "Page.javascriptDialogOpening":
            self.dialogs.append(given["message"])
            self.browser.send("Page.handleJavaScriptDialog", session, accept=False)

    def value(self, expression, frame=None):
        result = self.browser.ask("Runtime.evaluate", frame or self.session, expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, (expression, result["exceptionDetails"])
        return result["result"].get("value")

    def until(self, expression, frame=None):
        """Waits until it is true, looking whenever the browser has drawn again."""
        end = time.monotonic() + PATIENCE_S
        while not (found := self.value(f"new Promise((done) => requestAnimationFrame(() => done(!!({expression}))))", frame)):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText", frame), self.complaints)
        return found

    def click(self, selector, frame=None):
        """As a mouse does: at its middle, where nothing may be in front of it."""
        self.until(f"document.querySelector({selector!r})", frame)
        if frame:
            return self.value(f"document.querySelector({selector!r}).click()", frame)
        x, y = self.value(f"(() => {{ const node = document.querySelector({selector!r}); node.scrollIntoView({{ block: 'center' }}); "
                          "const box = node.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; })()")
        for kind in ["mousePressed", "mouseReleased"]:
            self.browser.ask("Input.dispatchMouseEvent", self.session, type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key, code=0, text=None):
        for kind in ["keyDown", "keyUp"]:
            more = {"text": text} if text and kind == "keyDown" else {}
            self.browser.ask("Input.dispatchKeyEvent", self.session, type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def write(self, selector, text):
        self.until(f"document.querySelector({selector!r})")
        self.value(f"document.querySelector({selector!r}).focus(), document.querySelector({selector!r}).select()")
        self.browser.ask("Input.insertText", self.session, text=text)

    def resize(self, width, height=900):
        self.browser.ask("Emulation.setDeviceMetricsOverride", self.session, width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, is_dark):
        wanted = [{"name": "prefers-color-scheme", "value": "dark" if is_dark else "light"}]
        self.browser.ask("Emulation.setEmulatedMedia", self.session, features=wanted)

    def shot(self, path):
        size = self.browser.ask("Page.getLayoutMetrics", self.session)["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": min(size["height"], 4000), "scale": 1}
        data = self.browser.ask("Page.captureScreenshot", self.session, captureBeyondViewport=True, clip=clip)["data"]
        Path(path).write_bytes(base64.b64decode(data))
