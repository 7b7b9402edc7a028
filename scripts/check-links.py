"""Says which links and paths in the documentation and in the crates' `//!` comments lead nowhere.

- Markdown links to another file, from the folder of the file that they stand in, and to a heading of one.
- Paths in backticks that begin with one of our folders, from the root, and `docs/…` anywhere: with `*` if one file fits.
  What has `<` or `…` in it is a pattern for the reader.
"""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

DOCUMENTS = [Path("README.md"), Path("ARCHITECTURE.md"), Path("CONTRIBUTING.md"), *sorted(Path("docs").rglob("*.md"))]
DOCUMENTS += sorted(Path("examples").rglob("*.md"))
SOURCES = [file for folder in ("app", "crates", "frontend", "server") for file in sorted(Path(folder).rglob("*.rs"))]
FOLDERS = "app|crates|demo|deploy|docs|end2end|examples|frontend|migrations|scripts|server"
LINK = re.compile(r"\]\(([^()\s]+)\)")
IN_BACKTICKS = re.compile(rf"`((?:{FOLDERS})/[^\s`]*)`")
DOCS = re.compile(r"(?<![\w./])docs/[\w./*-]*[\w/*]")

problems: list[str] = []


def without_code(text: str) -> str:
    """The text with the lines of its fenced blocks emptied."""
    return re.sub(r"^```.*?^```$", lambda block: "\n" * block.group().count("\n"), text, flags=re.MULTILINE | re.DOTALL)


def anchors(document: Path) -> set[str]:
    """The names of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(document.read_text(encoding="utf-8")), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_link(link: str, document: Path) -> str | None:
    """What is wrong with a link, if anything."""
    if re.match(r"[a-z]+:", link):
        return None
    name, _, anchor = link.partition("#")
    target = document.parent / unquote(name) if name else document
    if not target.exists():
        return "is not there"
    if anchor and anchor not in anchors(target):
        return "has no such heading"
    return None


def check_path(path: str) -> str | None:
    """What is wrong with a path from the root, if anything."""
    if re.search("[<…]", path) or any(Path().glob(path.rstrip("/"))):
        return None
    return "is not there"


def look_at(text: str, file: Path, is_markdown: bool) -> None:
    """Notes what leads nowhere in this text of this file."""
    for number, line in enumerate(text.splitlines(), 1):
        found = {path: check_path(path) for path in IN_BACKTICKS.findall(line) + DOCS.findall(line)}
        if is_markdown:
            found |= {link: check_link(link, file) for link in LINK.findall(line)}
        problems.extend(f"{file}:{number}: {what} {wrong}" for what, wrong in found.items() if wrong)


for document in DOCUMENTS:
    look_at(without_code(document.read_text(encoding="utf-8")), document, is_markdown=True)
for source in SOURCES:
    comments = re.sub(r"^(?! *//!).*$", "", source.read_text(encoding="utf-8"), flags=re.MULTILINE)
    look_at(comments, source, is_markdown=False)

print("\n".join(problems))
sys.exit(bool(problems))
