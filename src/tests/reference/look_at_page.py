"""Opens a page of a run in Chromium, checks what can be checked, and takes pictures for whoever looks.

    python look_at_page.py PAGE PICTURES [--chromium PROGRAM]

PAGE is a `report.html`, PICTURES a directory. The page is opened 400 and 1400 pixels wide, in the light and in the dark, with all
details open. Checked are: the HTML is well-formed (html5lib, strict); nothing is loaded but the page; no message on the console; nothing but
boxes that scroll is wider than the page; letters have a contrast of at least 4.5 to what is behind them; words stay in their boxes of
the graph; numbers of a chart do not overlap. Prints a line a picture; fails at the first that does not hold.

Versions that it was written against: Chromium 148, websocket-client 1.9, html5lib 1.1.
"""

import argparse
import base64
import itertools
import json
import re
import subprocess
import tempfile
from pathlib import Path

import html5lib
import websocket

WIDTHS = [400, 1400]
SCHEMES = ["light", "dark"]

LOOK = r"""
(() => {
  const wrong = [];
  document.querySelectorAll("details").forEach(one => { one.open = true; });
  const page = document.documentElement;
  if (page.scrollWidth > page.clientWidth) {
    const wide = [...document.querySelectorAll("body *")].filter(one =>
      one.getBoundingClientRect().right > page.clientWidth + 1 && !one.closest(".scroll, pre, .chart, svg"));
    wrong.push(`the page is ${page.scrollWidth} wide: ` + wide.slice(0, 3).map(one => one.outerHTML.slice(0, 120)).join(" | "));
  }
  const numbers = colour => (colour.match(/[\d.]+/g) || []).map(Number);
  const luminance = ([red, green, blue]) => [red, green, blue]
    .map(part => part / 255).map(part => part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const contrast = (one, other) => {
    const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (high + 0.05) / (low + 0.05);
  };
  const behind = one => {
    const box = one.closest("g.step") && one.closest("g.step").querySelector("rect");
    if (box) return numbers(getComputedStyle(box).fill);
    for (let at = one; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length == 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const words = [...document.querySelectorAll("body *")].filter(one => [...one.childNodes].some(node =>
    node.nodeType == Node.TEXT_NODE && node.data.trim()) && one.getClientRects().length && !["TITLE", "STYLE"].includes(one.tagName.toUpperCase()));
  for (const one of words) {
    const style = getComputedStyle(one);
    const found = contrast(numbers(one instanceof SVGElement ? style.fill : style.color), behind(one));
    if (found < 4.5) wrong.push(`contrast ${found.toFixed(2)}: ${one.outerHTML.slice(0, 120)}`);
  }
  for (const step of document.querySelectorAll("g.step")) {
    const box = step.querySelector("rect").getBoundingClientRect();
    for (const text of step.querySelectorAll("text")) {
      if (text.getBoundingClientRect().right > box.right) wrong.push(`out of its box: ${text.textContent}`);
    }
  }
  for (const chart of document.querySelectorAll(".chart svg")) {
    const around = chart.getBoundingClientRect();
    const texts = [...chart.querySelectorAll("text")].map(one => [one.textContent, one.getBoundingClientRect()]);
    texts.forEach(([name, one], at) => {
      if (one.left < around.left - 1 || one.right > around.right + 1) wrong.push(`cut off: ${name}`);
      texts.slice(at + 1).forEach(([other, box]) => {
        if (one.left < box.right && box.left < one.right && one.top < box.bottom - 3 && box.top < one.bottom - 3) {
          wrong.push(`${name} overlaps ${other}`);
        }
      });
    });
  }
  return { wrong: [...new Set(wrong)], height: page.scrollHeight, words: words.length };
})()
"""


class Browser:
    def __init__(self, program, profile):
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0"]
        flags += ["--remote-allow-origins=*", f"--user-data-dir={profile}", "about:blank"]
        self.process = subprocess.Popen([program, *flags], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if found := re.search(r"ws://([^/]+)/", line):
                break
        self.numbers = itertools.count(1)
        self.heard = []
        host = found.group(1)
        self.socket = websocket.create_connection(f"ws://{host}/devtools/browser/" + line.strip().rsplit("/", 1)[1])
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.socket.close()
        self.socket = websocket.create_connection(f"ws://{host}/devtools/page/{target}")
        for domain in ["Page", "Runtime", "Log", "Network"]:
            self.ask(f"{domain}.enable")

    def ask(self, method, **parameters):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self.socket.recv())).get("id") != number:
            self.heard.append(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, url):
        self.ask("Page.navigate", url=url)
        while not any(message["method"] == "Page.loadEventFired" for message in self.heard):
            self.heard.append(json.loads(self.socket.recv()))

    def complaints(self, url):
        for message in self.heard:
            method, told = message["method"], message["params"]
            if method in ["Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"]:
                yield json.dumps(told)[:300]
            if method == "Network.requestWillBeSent" and told["request"]["url"] != url:
                yield f"loads {told['request']['url']}"
        self.heard = []


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", type=Path)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--chromium", default="chromium")
    arguments = parser.parse_args()
    html5lib.HTMLParser(strict=True).parse(arguments.page.read_text())
    print(f"ok  {arguments.page}: well-formed HTML, {arguments.page.stat().st_size} bytes")
    arguments.pictures.mkdir(parents=True, exist_ok=True)
    url = arguments.page.resolve().as_uri()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = Browser(arguments.chromium, profile)
        try:
            for width, scheme in itertools.product(WIDTHS, SCHEMES):
                browser.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                browser.ask("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
                browser.open(url)
                told = browser.ask("Runtime.evaluate", expression=LOOK, returnByValue=True)["result"]["value"]
                size = {"x": 0, "y": 0, "width": width, "height": told["height"], "scale": 1}
                picture = browser.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=size)
                path = arguments.pictures / f"page-{width}-{scheme}.png"
                path.write_bytes(base64.b64decode(picture["data"]))
                wrong = told["wrong"] + list(browser.complaints(url))
                assert not wrong, f"{path}: " + "\n".join(wrong[:20])
                print(f"ok  {path}: {told['words']} texts, {told['height']} pixels high")
        finally:
            browser.process.terminate()
            browser.process.wait()


if __name__ == "__main__":
    main()
