"""A real browser without a window, and what it asked the network for."""

from __future__ import annotations

import contextlib
import json
import shutil

import pytest

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # CI runs as root; the pages are our own
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def needed():
    """Return Selenium and the two programs it drives, or skip and say what is missing."""
    reason = "the extra `browser` is not installed"
    webdriver = pytest.importorskip("selenium.webdriver", reason=reason)
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver (Debian: chromium and chromium-driver)")
    return webdriver, chromium, driver


@contextlib.contextmanager
def opened(folder):
    """A browser with an empty profile in `folder`."""
    webdriver, chromium, driver = needed()
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    service = webdriver.ChromeService(executable_path=driver)
    browser = webdriver.Chrome(options=options, service=service)
    try:
        yield browser
    finally:
        browser.quit()


def size(browser, width, height):
    """Give the page itself this size, as on a phone; a window can't be that narrow."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
    )


def asked(browser):
    """The addresses that pages asked for since the last call."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [params["request"]["url"] for params in sent]
