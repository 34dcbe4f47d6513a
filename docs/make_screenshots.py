"""Take pictures of the pages of a service, which has a sample log: ``make screenshots``.

Needs Chromium. The sample's times are moved so that it ends now.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import sync_playwright

from cybertools.tracking.sample import sample_tracks
from cybertools.tracking.service.access.starting import open_tokens

PICTURES = Path(__file__).parent / "pictures"
TRACKS = 40_000
DAYS = 75
WIDE, NARROW = (1440, 900), (390, 844)
MOST = 1_400
"""Pixels of a picture's height; the rest is more of the same."""

COLOURS = 128


def command(*arguments: str) -> list[str]:
    """The command of this environment."""
    return [str(Path(sys.executable).parent / "tracks"), *arguments]


def fill(url: str, folder: str) -> None:
    """Import the sample, moved so that it ends now."""
    tracks = [*sample_tracks(TRACKS, days=DAYS)]
    late = time.time() - max(track["timeStamp"] for track in tracks) - 20
    log = Path(folder) / "sample.jsonl"
    with log.open("w") as file:
        for track in tracks:
            file.write(json.dumps(track | {"timeStamp": track["timeStamp"] + late}) + "\n")
    subprocess.run(  # noqa: S603
        command("--storage", url, "import", str(log)), check=True, capture_output=True
    )


@contextmanager
def served(url: str) -> Iterator[tuple[str, str]]:
    """A service of the database: where it is, and a token for it."""
    with open_tokens(url) as tokens:
        token = tokens.create("ada", ["admin"], "screenshots").text
        tokens.create("importer", ["write"], "screenshots", ["tracks"])
        tokens.create("shop", ["write"], "screenshots", ["tracks"], None, ["https://example.org"])
    process = subprocess.Popen(  # noqa: S603
        command("serve", url, "--port", "0"), stderr=subprocess.PIPE, text=True
    )
    try:
        if process.stderr is None:
            raise RuntimeError("The service says nothing.")
        line = next(line for line in process.stderr if " is served at " in line)
        yield line.split()[-1], token
    finally:
        process.terminate()
        process.communicate()


def pages() -> dict[str, str]:
    """The pages by the names of their pictures."""
    storage = "/storages/tracks"
    task = urlencode({"taskId": "algebra/lesson-03"})
    steps = urlencode({"step": [f"python/lesson-0{n}" for n in (1, 2, 3, 4)]}, doseq=True)
    return {
        "overview": f"{storage}/overview?period=30d",
        "now": f"{storage}/now",
        "tasks": f"{storage}/tasks?period=30d",
        "task": f"{storage}/task?{task}&period=30d",
        "users": f"{storage}/users?period=30d",
        "explore": f"{storage}/explore?taskId=python/*&by=verb&period=30d",
        "funnel": f"{storage}/funnel?{steps}&period=all",
        "retention": f"{storage}/retention?period=90d",
        "paths": f"{storage}/paths?period=30d",
        "storages": "/storages",
        "tokens": "/tokens",
    }


def picture(page: Any, name: str, height: int) -> int:
    """Take one, with few colours; the bytes that it takes."""
    size = page.viewport_size
    full = min(page.evaluate("document.documentElement.scrollHeight"), height)
    clip = {"x": 0, "y": 0, "width": size["width"], "height": max(full, size["height"])}
    image = Image.open(BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB")
    target = PICTURES / f"{name}.png"
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(target, optimize=True)
    return target.stat().st_size


def take(browser: Any, base: str, token: str, scheme: str, size: tuple[int, int]) -> int:
    """Pictures of all pages; the bytes that they take."""
    is_wide = size == WIDE
    options = {"viewport": dict(zip(("width", "height"), size, strict=True))}
    context = browser.new_context(
        base_url=base, color_scheme=scheme, locale="en-GB", timezone_id="UTC", **options
    )
    page = context.new_page()
    end = f"{scheme}{'' if is_wide else '-narrow'}"
    page.goto("/sign-in")
    total = picture(page, f"sign-in-{end}", MOST)
    page.fill("#token", token)
    page.press("#token", "Enter")
    page.wait_for_url("**/overview")
    addresses = pages()
    page.goto(addresses["users"])
    addresses["user"] = page.locator("#results tbody th a").first.get_attribute("href")
    page.goto(addresses["task"])
    addresses["run"] = page.locator("a[href*='/runs/']").first.get_attribute("href")
    page.goto(addresses["funnel"])
    addresses["behind"] = page.locator("a[href*='/behind?']").nth(1).get_attribute("href")
    shown = addresses if is_wide else {n: addresses[n] for n in ("overview", "explore", "run")}
    for name, address in shown.items():
        page.goto(address, wait_until="domcontentloaded" if name == "now" else "load")
        page.wait_for_timeout(400)
        total += picture(page, f"{name}-{end}", MOST)
    context.close()
    return total


def main() -> None:
    """Fill a database, serve it, and take all pictures of it."""
    executable = shutil.which("chromium") or shutil.which("google-chrome")
    if executable is None:
        sys.exit("This needs Chromium: apt-get install chromium.")
    PICTURES.mkdir(exist_ok=True)
    total = 0
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        url = f"sqlite:{folder}/tracks.db"
        fill(url, folder)
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        with served(url) as (base, token):
            for scheme, size in (
                ("light", WIDE),
                ("dark", WIDE),
                ("light", NARROW),
                ("dark", NARROW),
            ):
                total += take(browser, base, token, scheme, size)
        browser.close()
    print(f"{len([*PICTURES.glob('*.png')])} pictures, {total / 1e6:.1f} MB: {PICTURES}")


if __name__ == "__main__":
    main()
