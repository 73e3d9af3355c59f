"""The scripts for shells: what they print, and what each shell makes of them, where it is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from lossparity.cli import main


def script(shell: str) -> str:
    result = CliRunner().invoke(main, ["completion", shell])
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def asked(shell: str, source: str, folder: Path) -> list[str]:
    """Run a script in a shell that finds `lossparity` on its path."""
    command = folder / "bin" / "lossparity"
    command.parent.mkdir()
    command.write_text(f"#!{sys.executable}\nfrom lossparity.cli import main\nmain()\n")
    command.chmod(0o755)
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run([shell, "-c", source], capture_output=True, text=True, check=False, env=env, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell}")


# What readline does with a line before and after the function: it breaks words, and replaces the last.
BASH = """
compopt() {{ echo "option:$*"; }}
{script}
COMP_LINE={line!r} COMP_POINT=${{#COMP_LINE}}
_lossparity_completion lossparity
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@needs("bash")
@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("lossparity ru", ["run"]),
        ("lossparity run -b torch.k", ["torch.keras", "torch.keras+compile"]),
        ("lossparity run -b torch:cu", ["cuda"]),
        ("lossparity run --format=bf", ["bfloat16", "bf16"]),
        ("lossparity run --case reductions/one-r", ["option:-o", "nospace", "reductions/one-row/"]),
        ("lossparity run --case reductions/one-row/reduction=n", ["none"]),
        ("lossparity show worked-example/softmax/float32@jax.o", ["jax.optax", "jax.optax+jit"]),
        ("lossparity run --cases ", ["option:-o", "default"]),
        ("lossparity run -o ", ["option:-o", "dirnames"]),
    ],
)
def test_bash_is_given_what_comes_after_the_break_in_a_word(tmp_path: Path, line: str, wanted: list[str]) -> None:
    assert asked("bash", BASH.format(script=script("bash"), line=line), tmp_path) == wanted


@needs("fish")
def test_fish_completes(tmp_path: Path) -> None:
    line = "lossparity show worked-example/softmax/float32@jax.o"
    found = asked("fish", f"{script('fish')}\ncomplete -C '{line}'", tmp_path)
    assert found == [f"worked-example/softmax/float32@{name}" for name in ("jax.optax", "jax.optax+jit")]


@needs("zsh")
def test_zsh_puts_no_space_behind_what_is_to_be_gone_on_with(tmp_path: Path) -> None:
    # Outside of its line editor zsh has neither words nor compadd.
    source = f"""
        compdef() {{ : }}
        compadd() {{ echo "$@" }}
        {script("zsh")}
        words=(lossparity run --case "$1") CURRENT=4
        _lossparity_completion
    """
    source = source.replace("(( ! $+commands", "(( 0 && ! $+commands")
    found = asked("zsh", f"set -- reductions/no-\n{source}", tmp_path)
    assert "-S" in found, found
    assert "reductions/no-batch/" in found[found.index("-S") :]


def test_a_shell_that_is_unknown_is_wrong_use() -> None:
    result = CliRunner().invoke(main, ["completion", "bsh"])
    assert result.exit_code == 2
    assert "bash" in result.stderr


def test_an_answer_needs_no_numpy_and_comes_while_one_types() -> None:
    code = """
import sys
from lossparity.cli import main
try:
    main(prog_name="lossparity")
except SystemExit:
    pass
assert not {"numpy", "flint", "msgspec"} & sys.modules.keys()
"""
    for line in ("lossparity run -b t", "lossparity run --case reductions/", "lossparity run --format "):
        env = {**os.environ, "_LOSSPARITY_COMPLETE": "bash_complete", "COMP_WORDS": line}
        start = time.perf_counter()
        done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("plain,") > 3
        assert time.perf_counter() - start < 5  # 0.15 s on an idle machine
