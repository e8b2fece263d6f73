"""Open pages of the site in headless Chromium, and record the browser's requests and console messages."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException as _Stale
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from busy_machine import PATIENCE_S

#: The width and height of the window in CSS pixels, and the device pixels per CSS pixel. A small scale gives small
#: screenshots.
WIDTH, HEIGHT, SCALE = 1400, 1200, 0.6
_FLAGS = (
    "--headless=new",
    # Chromium's sandbox does not work as root in a container. The tests open only the project's own pages.
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",
    "--hide-scrollbars",
    f"--window-size={WIDTH},{HEIGHT}",
    f"--force-device-scale-factor={SCALE}",
)


@dataclass(slots=True)
class Browser:
    """A browser window on the site at `root`.

    `asked` has the URLs of the requests, `complaints` the warnings and errors of the console. `look` appends the new
    ones to both.
    """

    driver: Any
    root: str
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def visit(self, place: str) -> None:
        """Load a page of the site without the state of the previous page, and wait until its data are loaded."""
        self.driver.get("about:blank")
        self.driver.get(f"{self.root}#!/{place}")
        self.wait_for("app-root .app-body, .app-content, .panel")

    def wait_for(self, selector: str) -> WebElement:
        """Wait until an element that matches the CSS selector is visible, and return the first one."""

        def seen(driver: Any) -> WebElement | None:
            found = driver.find_elements(By.CSS_SELECTOR, selector)
            return next((each for each in found if each.is_displayed()), None)

        element: WebElement = WebDriverWait(self.driver, PATIENCE_S).until(seen)
        return element

    def text(self) -> str:
        """Return all visible text of the page."""
        return str(self.driver.execute_script("return document.body.innerText"))

    def wait_for_text(self, text: str) -> None:
        """Wait until the page shows ``text``. Raise TimeoutException if the text does not appear."""
        WebDriverWait(self.driver, PATIENCE_S).until(lambda _: text in self.text())

    def search(self, words: str, wanted: str) -> list[str]:
        """Type ``words`` into the search box, wait for the result ``wanted``, and return the names in display order."""
        box = self.wait_for("input[type=search], input[placeholder^=Search]")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(words)
        names: list[str] = []

        def found(driver: Any) -> bool:
            shown = driver.find_elements(By.CSS_SELECTOR, ".result-body h4 > span")
            names[:] = [name.text for name in shown]
            return wanted in names

        try:
            WebDriverWait(self.driver, PATIENCE_S, ignored_exceptions=[_Stale]).until(found)
        except TimeoutException:
            raise AssertionError(f"{words!r} finds {names}, and not {wanted}") from None
        return names

    def find_first(self, queries: Sequence[str]) -> dict[str, list[str]]:
        """Return, for each query, the names of all search results, best first.

        The site's search function is called directly, without the search box.
        """
        found: dict[str, list[str]] = self.driver.execute_script(
            "const project = angular.element(document.body).injector().get('project');"
            "const best = q => project.search(q).sort((a, b) => b.overallWeight - a.overallWeight);"
            "return Object.fromEntries(arguments[0].map(q => [q, best(q).map(each => each.model.name)]))",
            list(queries),
        )
        return found

    def graph_types(self) -> set[str]:
        """Return the resource types of the nodes that the open graph shows."""
        self.wait_for("canvas")
        script = "return window.graph ? window.graph.nodes(':visible').map(n => n.data('resource_type')) : []"
        WebDriverWait(self.driver, PATIENCE_S).until(lambda driver: driver.execute_script(script))
        return set(self.driver.execute_script(script))

    def draws(self, characters: str) -> bool:
        """Return True if each character has its own glyph. Characters without a font are all drawn as the same box."""
        different: int = self.driver.execute_script(
            """const font = getComputedStyle(document.body).fontFamily;
            const pictures = [...arguments[0]].map(character => {
                const canvas = document.createElement("canvas");
                canvas.width = canvas.height = 32;
                const context = canvas.getContext("2d");
                context.font = `24px ${font}`;
                context.fillText(character, 2, 26);
                return canvas.toDataURL();
            });
            return new Set(pictures).size""",
            characters,
        )
        return different == len(set(characters))

    def wait_until_in_view(self, selector: str) -> None:
        """Wait until an element is neither scrolled out of view nor covered by another element.

        Raises:
            TimeoutException: the element does not come into view.
        """
        script = """const element = document.querySelector(arguments[0]);
            if (!element) return false;
            const box = element.getBoundingClientRect();
            const top = document.elementFromPoint(box.left + 5, box.top + box.height / 2);
            return element === top || element.contains(top)"""
        WebDriverWait(self.driver, PATIENCE_S).until(
            lambda driver: driver.execute_script(script, selector)
        )

    def open_found(self, name: str) -> None:
        """Click the search result with this name, and wait for its page."""
        for each in self.driver.find_elements(By.CSS_SELECTOR, ".result-body h4"):
            if each.find_element(By.TAG_NAME, "span").text == name:
                each.click()
                self.wait_for_text("Description")
                return
        raise AssertionError(f"the search shows no {name}")

    def open_column(self, name: str) -> str:
        """Expand a column's row on a model's page, and return the text of the details."""
        for row in self.driver.find_elements(By.CSS_SELECTOR, "tr.column-row"):
            cells = row.find_elements(By.TAG_NAME, "td")
            if cells and cells[0].get_attribute("textContent").strip() == name:
                self.driver.execute_script("arguments[0].click()", row)
                opened = row.find_element(By.XPATH, "following-sibling::tr[1]")
                WebDriverWait(opened, PATIENCE_S).until(WebElement.is_displayed)
                self.driver.execute_script("arguments[0].scrollIntoView({block: 'start'})", row)
                return str(opened.text)
        raise AssertionError(f"the page has no column {name}")

    def images(self) -> dict[str, int]:
        """Return the natural width of each image on the page, by URL. The width is 0 for an image that did not load."""
        found: dict[str, int] = self.driver.execute_script(
            "return Object.fromEntries([...document.images].map(i => [i.src, i.complete ? i.naturalWidth : 0]))"
        )
        return found

    def wait_for_images(self) -> None:
        """Wait until every image has loaded or failed to load."""
        WebDriverWait(self.driver, PATIENCE_S).until(
            lambda driver: driver.execute_script(
                "return [...document.images].every(i => i.complete)"
            )
        )

    def look(self) -> None:
        """Add the requests and console messages since the last call to `asked` and `complaints`."""
        for line in self.driver.get_log("performance"):
            event = json.loads(line["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self.asked.append(str(event["params"]["request"]["url"]))
        self.complaints += [
            f"{line['level']}: {line['message']}"
            for line in self.driver.get_log("browser")
            if line["level"] in {"SEVERE", "WARNING"}
        ]

    def show(self, path: str) -> None:
        """Scroll until the first visible element that matches the XPath is at the bottom of the window."""
        found = self.driver.find_elements(By.XPATH, path)
        element = next(each for each in found if each.is_displayed())
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'end'})", element)

    def picture(self, path: Path) -> None:
        """Save a screenshot as a PNG file at ``path``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(str(path))


@contextmanager
def open_browser(root: str) -> Iterator[Browser]:
    """Yield a window on the site at the URL ``root``.

    If Chromium or its driver is missing, skip the test; on CI or if MART_SCREENSHOTS is set, fail the test.
    """
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        reason = "no Chromium with its driver: install Debian's chromium and chromium-driver (.ci/chromium)"
        if os.environ.get("CI") or os.environ.get("MART_SCREENSHOTS"):
            pytest.fail(reason)
        pytest.skip(reason)
    options = Options()
    options.binary_location = program
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    window = webdriver.Chrome(options=options, service=Service(driver))
    try:
        yield Browser(window, root)
    finally:
        window.quit()
