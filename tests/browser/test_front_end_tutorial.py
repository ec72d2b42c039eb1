"""The code of docs/tutorial/front-end.md: its types checked, built, run from another origin."""

from __future__ import annotations

import base64
import json
import re
import shlex
import subprocess
from pathlib import Path

from playwright.sync_api import Browser, expect

from services.build.web import WEB
from services.local.state import LabState
from services.platform.checkout import PROJECT
from tests.browser.conftest import Site, limit_ms
from tests.browser.visitors import PASSWORD, add_account
from tests.support.photos import jpeg, scene
from tests.support.waiting import scaled

TUTORIAL = PROJECT / "docs" / "tutorial" / "front-end.md"
API = "http://127.0.0.1:8080"
COMMAND_SECONDS = 120
SETTINGS = {
    "compilerOptions": {
        "target": "ES2022", "module": "ESNext", "moduleResolution": "Bundler",
        "lib": ["ES2022", "DOM", "DOM.Iterable"], "strict": True, "skipLibCheck": True,
        "noEmit": True,
    },
    "files": ["main.ts"],
}  # fmt: skip
HTML = '<!doctype html><title>Mine</title><img alt=""><script type="module" src="main.ts"></script>'
SHOW = """
async ([name, data]) => {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  const image = await developed(await upload(new File([bytes], name, { type: "image/jpeg" })));
  document.querySelector("img").src = image.thumbnail;
  return image;
}
"""


def code(lab: LabState, email: str) -> str:
    """The tutorial's TypeScript for this lab and account, its functions open to the test."""
    text = TUTORIAL.read_text(encoding="utf-8")
    blocks = re.findall(r"```ts\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 3
    names = f"const email = {json.dumps(email)}, password = {json.dumps(PASSWORD)};"
    calls = "Object.assign(window, { upload, developed });"
    return "\n".join([names, *blocks, calls]).replace(API, lab.api)


def generate(lab: LabState) -> list[str]:
    """The tutorial's command that generates the types, for this lab."""
    text = TUTORIAL.read_text(encoding="utf-8")
    (command,) = re.findall(r"^npx (.*)$", text, re.MULTILINE)
    return shlex.split(command.replace(API, lab.api))


def run(folder: Path, tool: str, *arguments: str) -> None:
    """Runs a tool of the page's build in `folder`."""
    done = subprocess.run(
        [WEB / "node_modules" / ".bin" / tool, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=scaled(COMMAND_SECONDS),
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_code_of_the_front_end_tutorial_uploads_and_shows_a_photo(
    browser: Browser, lab: LabState, other_site: Site, tmp_path: Path
) -> None:
    (tmp_path / "node_modules").symlink_to(WEB / "node_modules")
    (tmp_path / "tsconfig.json").write_text(json.dumps(SETTINGS), encoding="utf-8")
    (tmp_path / "main.ts").write_text(code(lab, add_account(lab)), encoding="utf-8")
    (tmp_path / "index.html").write_text(HTML, encoding="utf-8")
    run(tmp_path, *generate(lab))
    run(tmp_path, "tsc")
    run(tmp_path, "vite", "build", "--target", "es2022", "--outDir", str(other_site.folder))
    context = browser.new_context()
    mine = context.new_page()
    mine.goto(other_site.origin)
    mine.wait_for_function("() => 'developed' in window", timeout=limit_ms())
    data = base64.b64encode(jpeg(scene(420, 300, seed=91))).decode("ascii")
    image = mine.evaluate(SHOW, ["mine.jpg", data])
    assert image["status"] == "developed"
    assert image["filenames"] == ["mine.jpg"]
    shown = mine.locator("img")
    expect(shown).to_have_js_property("complete", True)
    assert shown.evaluate("(img) => img.naturalWidth") == 256
    context.close()
