"""What axe says of a page against WCAG 2.1, levels A and AA; its script runs beside the page's, whose policy stays."""

from __future__ import annotations

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

__all__ = ["violations"]

_RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "resultTypes": ["violations"],
}


def violations(page: Page, part: str = "html") -> list[str]:
    """Return what axe finds in a part of a page as it stands: the rule, the element and what it says of it."""
    found = Axe().run(page, part, _RULES).response["violations"]
    return [
        f"{rule['id']}: {' '.join(map(str, node['target']))}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]
