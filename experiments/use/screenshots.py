"""Pictures of the demo's page in chromium: python experiments/use/screenshots.py ADDRESS IMAGE FOLDER"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

SIZES = {"desk": (1280, 860), "phone": (390, 844)}


def main(address: str, image: str, folder: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for name, (width, height) in SIZES.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(address)
            page.set_input_files("#file", image)
            page.wait_for_selector("figure .legend li")
            if page.locator("#compare").is_visible():
                page.select_option("#second", index=2)
                page.wait_for_selector("figure >> nth=1")
            page.screenshot(path=Path(folder, f"demo_{name}.png"), full_page=name == "desk")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
