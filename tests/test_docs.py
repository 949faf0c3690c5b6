"""The documentation: its links lead somewhere, and what it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_link_leads_to_a_page_and_a_heading(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_file_of_the_checkout_that_is_named_is_there(page):
    rooms = "bench|cli|components|engines|lb|local|planner|policies|services|sim|spec|tests|tools"
    named = set(re.findall(rf"`((?:{rooms})/[\w./-]+)`", page.read_text()))
    rooted = (ROOT, ROOT / "tests")  # tables of tests leave the first folder out
    assert [name for name in sorted(named) if not any((root / name).exists() for root in rooted)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_every_command_that_is_named_is_one(page):
    from cli.main import COMMANDS

    known = {*COMMANDS, "preview", "down"}
    named = set(re.findall(r"(?:\./tw|`tw) ([a-z]+)", page.read_text()))
    assert named <= known
