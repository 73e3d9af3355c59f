"""What a stranger's file asks for: refused with its place and the reason, before it costs time or memory."""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lossparity import record, suite
from lossparity.cli.endings import Group
from lossparity.errors import LossparityError, UsageError
from lossparity.reading import whole
from lossparity.registry import read_known

HEAD = "suite: mine\nabout: It.\ncases:\n"


@pytest.fixture(autouse=True)
def _bounded() -> Iterator[None]:
    """Let this process take a gigabyte more than it has, and no more."""
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (size + (1 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


def case(more: str, name: str = "a") -> str:
    return f"  - {{id: {name}, clause: S1, operation: softmax, {more}}}\n"


def varied(values: int, name: str = "a") -> str:
    axes = (f"{axis}: {{{', '.join(f'v{n}: [[{n}, 1]]' for n in range(values))}}}" for axis in ("logits", "upstream"))
    return case(f"vary: {{{', '.join(axes)}}}", name)


REFUSED = {
    "deep nesting": ("logits: " + "[" * 10**5, "nested more than 16 deep"),
    "aliases": ("logits: &a [[1, 2]], upstream: *a", "anchors and aliases are not allowed"),
    "a tag": (
        "logits: !!python/object/apply:os.system [id]",
        "the tag 'tag:yaml.org,2002:python/object/apply:os.system",
    ),
    "a huge shape": ("logits: {generate: constant, shape: [1000000, 1000000], value: 1}", "2^28 elements are the most"),
    "a huge length": ("logits: {generate: constant, shape: [1" + "0" * 30 + ", 2], value: 1}", ""),
    "a number of 5000 digits": ("logits: [[" + "9" * 5000 + ", 1]]", ""),
    "an infinite number": ("logits: [[1e400, 1]]", ""),
    "a seed of 5000 digits": ("logits: {generate: normal, shape: [2, 2], seed: " + "9" * 5000 + "}", ""),
    "a control character": ('logits: [[1, 2]], about: "\x1b[2J"', "the character U+001B is not allowed"),
    "markup in an id": ("logits: [[1, 2]], id: <b>", ""),
    "a path in an id": ("logits: [[1, 2]], id: ../../b", ""),
    "a link that is code": ("logits: [[1, 2]], link: 'javascript:alert(1)'", "it begins with https://"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_case_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    more, said = REFUSED[name]
    path = tmp_path / "mine.yaml"
    body = case(more.replace(", id:", ", XX:")) if "id:" not in more else case(more).replace("id: a, ", "", 1)
    path.write_text(HEAD + body)
    with pytest.raises(UsageError) as caught:
        suite.load([path])
    assert caught.value.where.startswith(f"{path}:4:")
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (varied(70), "vary makes 4900 cases of one; 4096 are the most"),
        ("".join(varied(60, f"c{at}") for at in range(10)), "too many, or too large"),
        (
            "".join(
                f"  - {{id: c{at}, clause: M2, operation: softmax, relation: permuted, "
                "logits: {generate: normal, shape: [2048, 16384], seed: 1}}\n"
                for at in range(3)
            ),
            "too many, or too large",
        ),
    ],
    ids=["permutations", "many-cases", "large-relations"],
)
def test_what_would_take_long_to_read_is_refused(tmp_path: Path, body: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD + body)
    with pytest.raises(UsageError, match=said):
        suite.load([path])


READERS: dict[str, tuple[Callable[[Path], object], int]] = {
    "the case file": (lambda path: suite.load([path]), 1),
    "the known deviations": (read_known, 1),
    "the record": (record.read, 1 << 10),
}


@pytest.mark.parametrize("what", READERS)
def test_devices_folders_and_huge_files_are_not_read(tmp_path: Path, what: str) -> None:
    read, most = READERS[what]
    with pytest.raises(LossparityError, match=f"{what} cannot be read: it is a device"):
        read(Path("/dev/zero"))
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        file.truncate((most << 20) + 1)
    if most == 1:  # the other is read in whole before it is found to be too long
        with pytest.raises(LossparityError, match=f"{what} has more than {most} MiB"):
            read(huge)
    if what != "the case file":  # a folder of those is all of its files
        with pytest.raises(LossparityError, match=f"{what} cannot be read: Is a directory"):
            read(tmp_path)
    with pytest.raises(LossparityError, match="embedded null"):
        read(tmp_path / "a\0b.yaml")


def test_what_a_shell_makes_of_a_command_can_be_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(b"it"))
    writer.start()
    assert whole(tmp_path / "pipe", "it", 10) == b"it"
    writer.join()


def test_aliases_and_depth_are_refused_in_known_deviations_too(tmp_path: Path) -> None:
    path = tmp_path / "known.yaml"
    for text in ("deviations: " + "[" * 10**5, "a: &a [1]\nb: [*a, *a]\n"):
        path.write_text(text)
        with pytest.raises(UsageError, match="not a file of known deviations"):
            read_known(path)


def test_a_command_prints_no_text_that_a_terminal_obeys(capfd: pytest.CaptureFixture[str]) -> None:
    import click

    group = Group("lossparity")

    @group.command()
    def told() -> None:
        click.echo(click.style("red", fg="red", bold=True) + " \x1b[2J \x1b]8;;http://x\x07 \u202e \x9b2J ok\ttab")
        raise UsageError("\x1b[1A\x1b[2K gone")

    with pytest.raises(SystemExit):
        group.main(["told"], color=True)
    out, err = capfd.readouterr()
    assert out == "\x1b[31m\x1b[1mred\x1b[0m \\x1b[2J \\x1b]8;;http://x\\x07 \\u202e \\x9b2J ok\ttab\n"
    assert err == "lossparity: \\x1b[1A\\x1b[2K gone\n"
