"""Commands and stand-alone scripts come off the page as they are: copied, saved or read."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

import record_factory as factory
from browser.accessible import violations
from browser.visiting import Visitor, said
from lossparity.record import Cause, Record, Script
from lossparity_reports.groups import gather
from record_factory import failed, keys, record, result

SCRIPT = f"# {factory.HOSTILE} 'and' \"quotes\" \\n é\nimport sys\n\nsys.exit(1)\n"


def scripted() -> Record:
    """Return a record with scripts: a cause's, one that could not be written, and a known deviation's."""
    made = record(
        failed(1, "negated"),
        failed(2, "negated"),
        failed(3, "swapped"),
        failed(4, "other"),
        result(5, verdict="known", deviation="declared"),
        result(6, verdict="known", deviation="declared"),
        failed(7, "negated", backend="jax"),
        result(8),
        causes=[Cause("negated", "", keys(1, 2)), Cause("swapped", "", keys(3)), Cause("other", "", keys(4))],
    )
    made.scripts = [
        Script("s/c1/float32@torch", "value", "negated", SCRIPT),
        Script("s/c3/float32@torch", "value", "swapped", why=f"no source {factory.HOSTILE}"),
        Script("s/c5/float32@torch", "value", "declared", SCRIPT),
    ]
    return made


def clipboard(page: Page) -> str:
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_a_script_is_copied_saved_and_read_as_it_is(visitor: Visitor) -> None:
    page = visitor.open(scripted(), "#check=s/c1/float32@torch", permissions=["clipboard-read", "clipboard-write"])
    copy = page.get_by_role("button", name="Copy the script of the value")
    copy.click()
    expect(page.get_by_role("button", name="Copied the script of the value")).to_be_focused()
    expect(page.locator("#copied")).to_have_text("Copied the script of the value")
    assert clipboard(page) == SCRIPT
    expect(copy).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as ").click()
    assert saved.value.suggested_filename == "s-c1-float32-torch-value.py"
    assert saved.value.path().read_text(encoding="utf-8") == SCRIPT
    page.get_by_text(f"The script of the value, {SCRIPT.count(chr(10))} lines").click()
    expect(page.get_by_role("region", name="The script of the value")).to_be_visible()
    assert page.locator("pre").text_content() == SCRIPT


def test_every_copy_button_copies_the_command_beside_it(visitor: Visitor) -> None:
    made = scripted()
    page = visitor.open(made, permissions=["clipboard-read", "clipboard-write"])
    commands = [group.command for group in gather(made).causes]
    buttons = page.locator("#causes button.copy")
    assert buttons.count() == len(commands) > 2
    for button, command in zip(buttons.all(), commands, strict=True):
        button.press("Enter")
        expect(button).to_contain_text("Copied")
        assert clipboard(page) == command
        assert said(page, f"#causes code.command >> text={command}") == command
    page.evaluate("location.hash = '#check=s/c8/float32@torch'")
    shown = page.locator(".reproduce")
    expect(shown).to_contain_text("lossparity show s/c8/float32@torch")
    for button in shown.locator("button.copy").all():
        button.click()
        expect(button).to_contain_text("Copied")
        assert clipboard(page) == button.locator("xpath=preceding-sibling::code").text_content()


def test_it_copies_without_the_clipboards_permission_or_says_that_it_cannot(visitor: Visitor) -> None:
    page = visitor.open(scripted())
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed')); }")
    button = page.locator("#causes button.copy").first
    button.click()
    expect(button).to_contain_text("Copied")
    expect(button).to_be_focused()
    page.get_by_role("searchbox").press("Control+V")
    expect(page.get_by_role("searchbox")).to_have_value(str(button.get_attribute("data-copies")))
    page.evaluate("() => { document.execCommand = () => false; }")
    button.click()
    expect(button).to_contain_text("Not copied")
    expect(page.locator("#copied")).to_contain_text("select the text, and press Ctrl+C")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_scripts_and_their_buttons(visitor: Visitor, theme: str) -> None:
    page = visitor.open(scripted(), color_scheme=theme)
    assert violations(page, "#causes") == []
    page.evaluate("location.hash = '#check=s/c1/float32@torch'")
    page.locator(".reproduce summary").click()
    assert violations(page) == []
