"""What packages need and have not, by their metadata."""

from __future__ import annotations

from pathlib import Path

import pytest

from lossparity.dependencies import Unmet, unmet


def package(folder: Path, name: str, version: str, *requires: str) -> None:
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    lines = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Requires-Dist: {r}" for r in requires),
    ]
    (info / "METADATA").write_text("\n".join(lines) + "\n")


def test_what_is_missing_or_of_another_version_is_said_with_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    package(tmp_path, "old", "1.2")
    package(tmp_path, "local", "2.13.0+cpu")
    package(tmp_path, "pre", "2.0rc1")
    package(
        tmp_path,
        "asking",
        "1",
        "old>=2,<3",
        "local>=2.1,<=2.13",
        "pre>=1",
        "not_there>=1; python_version>='3'",
        "not_asked_for>=1; python_version<'3'",
        "not_wanted; extra=='more'",
    )
    found = list(unmet("asking"))
    assert found == [Unmet("asking", "old<3,>=2", "1.2"), Unmet("asking", "not_there>=1", "")]
    assert [one.advice for one in found] == [
        "asking needs old<3,>=2, and 1.2 is installed: pip install 'old<3,>=2'",
        "asking needs not_there>=1, and it is not installed: pip install 'not_there>=1'",
    ]


def test_of_a_package_that_is_not_installed_nothing_is_unmet() -> None:
    assert list(unmet("no-such-package")) == []
