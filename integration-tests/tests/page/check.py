"""Looks at the page as its users do: check.py MCP_URL MCP_URL_WITH_TOKEN TOKEN FOLDER_FOR_SCREENSHOTS

The store behind it holds, besides failures: paths, and a program's name, that would run if they were ever taken for more than text.
"""

import json
import random
import sys
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from browser import Browser
from host import Host

# Nothing is in the document that was not put there by name, and nothing in it runs or leads away.
HARMLESS = """document.scripts.length === 1 && !document.querySelector('img, iframe, object, embed, a, base, style ~ style, meta[http-equiv]')
    && [...document.querySelectorAll('*')].every((node) => [...node.attributes].every(({ name, value }) => !/^on/.test(name) && !/javascript:/.test(value)))"""
IDLE = "document.getElementById('main').getAttribute('aria-busy') === 'false' && document.getElementById('main').childElementCount"
EXPLAINED = "document.querySelector('aside .verdict, aside .problem')"


def quiet(page, origin, but=""):
    complaints = [told for told in page.complaints if not but or but not in str(told)]
    assert not complaints, complaints
    assert not page.dialogs, page.dialogs
    elsewhere = [url for url in page.asked if not url.startswith((origin + "/", "data:", "about:"))]
    assert not elsewhere, elsewhere


def fits(page, frame=None):
    wide = page.value("[...document.querySelectorAll('body *')].filter((node) => !node.closest('.scroll svg, .scroll table, option')"
                      " && node.getBoundingClientRect().right > document.documentElement.clientWidth + 1).map((node) => node.outerHTML.slice(0, 200))", frame)
    assert not wide, wide
    assert page.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth", frame)


def views(browser, url, shots):
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    for width, is_dark in [(1280, False), (360, True)]:
        page = browser.open(url, width, is_dark=is_dark)
        name = f"{width}-{'dark' if is_dark else 'light'}"

        def look(view):
            assert page.value(HARMLESS), page.value("document.documentElement.outerHTML")
            fits(page)
            page.shot(shots / f"{view}-{name}.png")

        page.until("document.querySelectorAll('.group').length >= 3")
        text = page.value("document.body.innerText")
        for part in ["502", "/api/fail", "data as of", "recorder running", "Not seen:"]:
            assert part in text, (part, text)
        luminance = page.value("getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number).reduce((a, b) => a + b)")
        assert (luminance < 200) == is_dark, luminance
        look("errors")
        # From a group to why it fails, and where its transaction spent its time.
        page.value("[...document.querySelectorAll('.group')].find((group) => group.innerText.includes('/api/fail') && group.innerText.includes('below')).id = 'wanted-group'")
        page.click("#wanted-group button.main")
        page.until(EXPLAINED)
        page.until("document.querySelectorAll('.row').length >= 2 && document.querySelector('.row.suspected')")
        text = page.value("document.body.innerText")
        for part in ["Why", "Suspect:", "own ", "link by"]:
            assert part in text, (part, text)
        assert page.value("[...document.querySelectorAll('.bar rect')].every((bar) => Number(bar.getAttribute('x')) >= 0 && Number(bar.getAttribute('width')) > 0)")
        look("transaction")
        # An id is in the address, and so can be come back to.
        assert page.value("/^#transaction\\/[gx]_[a-z0-9]+$/.test(location.hash)"), page.value("location.hash")
        page.value("history.back()")
        page.until("document.querySelector('.group')")
        # An example, and one of its hops.
        page.click(".group button.id")
        page.until("document.querySelector('.row.about')")
        page.until(EXPLAINED)
        page.click(".row button.id")
        page.until(EXPLAINED)
        page.click("[data-view=map]")
        page.until("document.querySelectorAll('.service').length >= 3 && document.querySelectorAll('tbody tr').length >= 3")
        assert "gateway" in page.value("document.querySelector('svg.map').textContent")
        look("map")
        quiet(page, origin)


def keyboard(browser, url):
    page = browser.open(url)
    page.until("document.querySelector('.group')")
    for _ in range(2):
        page.press("Tab", 9)
    assert page.value("document.activeElement.dataset.view") == "map"
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('.service')")
    assert page.value("document.activeElement.tagName") == "H2"
    for _ in range(2):
        page.press("Tab", 9)
    while not page.value("document.activeElement.matches('.service')"):
        page.press("Tab", 9)
    page.press("Enter", 13, "\r")
    page.until("document.activeElement.getAttribute('aria-pressed') === 'true' && document.querySelector('tbody tr[hidden]')")
    page.press(" ", 32, " ")
    page.until("!document.querySelector('tbody tr[hidden]')")


def windows(browser, url, shots):
    page = browser.open(url)
    page.until("document.querySelector('.group')")
    page.value("document.getElementById('since').value = 'other', document.getElementById('since').dispatchEvent(new Event('change'))")
    page.write("#mark", "no-such-mark")
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('.problem')")
    assert "mark" in page.value("document.querySelector('.problem').textContent")
    page.write("#mark", "after-all")
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('.empty')")
    text = page.value("document.querySelector('.empty').textContent")
    assert "Try a longer window" in text and not page.value("document.querySelector('.group')"), text
    page.shot(shots / "empty.png")
    # A value that requests carried finds its transaction, and is not put into the address.
    page.click("[data-view=transaction]")
    page.write("#wanted", "req-5e1f0a9b77c24d31")
    page.press("Enter", 13, "\r")
    page.until("document.querySelectorAll('.row').length >= 2")
    assert "5e1f0a9b" not in page.value("location.href + JSON.stringify(history.state)")
    page.write("#wanted", "x_nothing")
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('.problem')")
    assert page.value("document.getElementById('wanted').value") == "x_nothing"
    page.shot(shots / "wrong-id.png")
    # Page by page.
    page.value("call('find_errors', { limit: 2, max_tokens: 8000, detail: 'detailed' }).then((answer) => { byId('since').value = ''; shown(drawErrors(answer, act)); })")
    assert page.value("document.querySelectorAll('.group').length") == 2
    page.click(".more")
    page.until("document.querySelectorAll('.group').length > 3 && !document.querySelector('.problem')")


def hostile(browser, url, shots):
    origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
    page = browser.open(url, 360)
    page.until("document.querySelector('.group')")
    page.click("[data-view=map]")
    page.until("document.querySelector('.service')")
    text = page.value("document.body.textContent")
    assert "<img src=x" in text, text
    assert page.value(HARMLESS)
    page.click("[data-view=errors]")
    page.until("document.querySelector('.group')")
    groups = "[...document.querySelectorAll('.group')].filter((group) => group.querySelector('.captured').textContent.startsWith('GET /h'))"
    ids = page.value(f"{groups}.flatMap((group) => [...group.querySelectorAll('button.id')].map((node) => node.textContent)).filter((id) => id.startsWith('x_'))")
    shown = {}
    for example in ids:
        page.value(f"go({{ view: 'transaction', id: {example!r} }})")
        page.until(f"document.querySelector('.row.about')?.dataset.id === {example!r}")
        page.until(EXPLAINED)
        assert page.value(HARMLESS)
        fits(page)
        shown[example] = page.value("document.querySelector('.row.about').textContent")
        page.shot(shots / f"hostile-{len(shown)}.png")
    for part in ["onerror=alert(1)", "</script><script>", "javascript:alert(3)", "txet"]:
        assert any(part in text for text in shown.values()), (part, shown)
    assert not any("\u202e" in text for text in shown.values()), shown
    quiet(page, origin)
    # The browser itself refuses what the script does not do anyway.
    assert page.value("(() => { try { document.createElement('p').innerHTML = '<b>x</b>'; return 'made'; } catch (error) { return error.name; } })()") == "TypeError"
    assert page.value("fetch('http://127.0.0.1:1/').then(() => 'asked', (error) => error.name)") == "TypeError"
    assert "connect-src" in str(page.complaints), page.complaints


def many(browser, url, shots):
    """Forty services: an answer made up, and drawn."""
    chance = random.Random(4)
    names = ["curl", "edge", *(f"service-{number:02}" for number in range(38))]
    callers = [("curl", "edge"), *(("edge" if number < 8 else names[2 + (number - 8) // 2], names[2 + number]) for number in range(38))]
    callers += [(chance.choice(names[2:20]), chance.choice(names[20:])) for _ in range(15)] + [(names[30], names[3])]
    rows = [[f"{server}:{8000 + names.index(server)}", client, 4000, chance.choice([0, 0, 40]), 0.01, 0, 1.2, 3.4, 30, "nginx" if server == "edge" else None] for client, server in dict.fromkeys(callers)]
    answer = {"columns": ["server", "client", "requests", "errors", "error_rate", "client_errors", "p50_ms", "p95_ms", "p99_ms", "gateway"], "rows": rows,
              "coverage": {"as_of": "2026-11-29T11:58:34.030Z", "recorder": "running", "not_seen": []}}
    page = browser.open(url)
    page.until(IDLE)
    page.value(f"shown(drawMap({json.dumps(answer)}))")
    # No box on another, each caller left of those it calls but where a circle goes back.
    boxes = page.value("[...document.querySelectorAll('.service rect')].map(({ x, y, width, height }) => [x, y, width, height].map((side) => side.baseVal.value))")
    assert len(boxes) == 40, len(boxes)
    for at, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[at + 1:]:
            assert x + width <= left or left + wide <= x or y + height <= top or top + high <= y, (boxes[at], (left, top, wide, high))
    assert page.value("document.querySelectorAll('.arrow.back').length") == 1
    assert page.value("document.querySelectorAll('tbody tr').length") == len(rows)
    spills = page.value("[...document.querySelectorAll('.service')].filter((box) => [...box.querySelectorAll('text')].some((text) => text.getBoundingClientRect().right > box.querySelector('rect').getBoundingClientRect().right)).map((box) => box.textContent)")
    assert not spills, spills
    fits(page)
    page.shot(shots / "map-of-forty.png")


def locked(browser, url, token, shots):
    page = browser.open(url)
    page.until("!document.getElementById('gate').hidden")
    assert "wants its token" in page.value("document.getElementById('gate').innerText")
    assert page.value("document.getElementById('token').type") == "password"
    page.shot(shots / "locked.png")
    page.write("#token", "not-the-token-of-this-server")
    page.press("Enter", 13, "\r")
    page.until("!document.getElementById('gate').hidden && document.getElementById('gate').innerText.includes('not the token')")
    page.write("#token", token)
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('.group') && document.getElementById('gate').hidden")
    kept = page.value("JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, history.state, document.getElementById('token').value])")
    assert token not in kept and not browser.ask("Network.getCookies", page.session)["cookies"], kept
    page.click("[data-view=map]")
    page.until("document.querySelector('.service')")
    quiet(page, "{0.scheme}://{0.netloc}".format(urlsplit(url)), but="401")


def app(browser, mcp, shots):
    host = Host(mcp)
    assert set(host.documents) == {"explain_failure", "find_errors", "list_services", "trace_transaction"}, host.documents
    errors = host.call("find_errors", {})["structuredContent"]
    example = next(row for row in errors["rows"] if "below" in str(row))[errors["columns"].index("examples")][0]
    for tool, arguments, theme, drawn in [
        ("find_errors", {}, "light", ".group"),
        ("list_services", {}, "dark", ".service"),
        ("trace_transaction", {"id": example}, "dark", ".row"),
        ("explain_failure", {"id": example}, "light", "aside .verdict"),
    ]:
        page = browser.open(f"{host.url}/?{urlencode({'tool': tool, 'arguments': json.dumps(arguments), 'theme': theme})}", 700)
        page.until("log.some((message) => message.method === 'ui/notifications/initialized')")
        [frame] = page.frames
        page.until(f"document.querySelector('{drawn}')", frame)
        assert page.value("document.documentElement.dataset.theme", frame) == theme
        assert page.value(HARMLESS, frame)
        # Only the host is listened to.
        page.value("window.postMessage({ jsonrpc: '2.0', method: 'ui/notifications/tool-cancelled', params: {} }, '*')", frame)
        if tool == "find_errors":
            page.click(".group button.main", frame)
            page.until("document.querySelector('.row') && " + EXPLAINED, frame)
            assert page.value("log.filter((message) => message.method === 'tools/call').map((message) => message.params.name)")
        if "id" in arguments:
            page.until(EXPLAINED, frame)
        assert "cancelled" not in page.value("document.body.innerText", frame)
        page.until("log.some((message) => message.method === 'ui/notifications/size-changed' && message.params.height > 100)")
        fits(page, frame)
        quiet(page, host.url)
        page.shot(shots / f"app-{tool}.png")


def main():
    mcp, locked_mcp, token, folder = sys.argv[1:]
    url, shots = mcp.removesuffix("mcp") + "ui", Path(folder)
    shots.mkdir(parents=True, exist_ok=True)
    with Browser() as browser:
        views(browser, url, shots)
        keyboard(browser, url)
        windows(browser, url, shots)
        hostile(browser, url, shots)
        many(browser, url, shots)
        locked(browser, locked_mcp.removesuffix("mcp") + "ui", token, shots)
        app(browser, mcp, shots)
    print("all was seen")


main()
