"""`lossparity completion`, and how bash and zsh are told what is offered."""

from __future__ import annotations

import os

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

from lossparity.cli import options

# Click's own has bash split the line, which does so at `=`, `:` and `@` too: no check id would be completed.
_BASH = """\
%(complete_func)s() {
    local type value offered
    offered=$(env COMP_WORDS="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain)
                COMPREPLY+=("$value")
                case $value in *[/=@]) compopt -o nospace ;; esac
                ;;
        esac
    done <<< "$offered"
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class _Joined(ShellComplete):
    """Offers `--option=value` where that is begun, whose `--option=` click leaves out and a shell then drops."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        """Return what is offered for the word that is begun."""
        option, equals, _ = incomplete.partition("=")
        found = super().get_completions(args, incomplete)
        for item in found if equals and option.startswith("--") else ():
            item.value = f"{option}={item.value}"
        return found


class _Bash(_Joined, BashComplete):
    """Bash, which gives the line up to the cursor (COMP_WORDS), and where its words are broken (COMP_WORDBREAKS)."""

    source_template = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """Return the whole words of the line, and the one that is begun."""
        line = os.environ["COMP_WORDS"]
        words = split_arg_string(line)[1:]
        return (words, "") if not words or line[-1].isspace() else (words[:-1], words[-1])

    def format_completion(self, item: CompletionItem[str]) -> str:
        """Return a word without what stands before its last break: bash replaces only what comes after it."""
        begun = self.get_completion_args()[1]
        breaks = [begun.rfind(one) + 1 for one in "=:@" if one in os.environ.get("COMP_WORDBREAKS", "")]
        kept = max(breaks, default=0)
        value = item.value[kept:] if item.type == "plain" and item.value[:kept] == begun[:kept] else item.value
        return f"{item.type},{value}"


class _Zsh(_Joined, ZshComplete):
    """Zsh, without a space behind what is to be gone on with."""

    source_template = ZshComplete.source_template.replace(
        "compadd -U -V unsorted -a completions",
        "compadd -U -V unsorted -S '' -- ${(M)completions:#*[/=@]}\n"
        "        compadd -U -V unsorted -- ${completions:#*[/=@]}",
    )


class _Fish(_Joined, FishComplete):
    """Fish, as click has it."""


for offering in (_Bash, _Zsh, _Fish):
    add_completion_class(offering)


@click.command()
@click.argument("shell", type=options.named("shell", "bash", "zsh", "fish"))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script by which a SHELL completes commands, options, backends, cases and checks.

    \b
    bash (4.4 or newer):
      lossparity completion bash > ~/.lossparity.bash
      echo '. ~/.lossparity.bash' >> ~/.bashrc
    zsh (after compinit):
      lossparity completion zsh > ~/.lossparity.zsh
      echo '. ~/.lossparity.zsh' >> ~/.zshrc
    fish:
      lossparity completion fish > ~/.config/fish/completions/lossparity.fish

    It works in shells that are started from then on.
    """  # noqa: D301 - click means the character
    found = get_completion_class(shell)
    assert found is not None
    root = context.find_root().command
    click.echo(found(root, {}, "lossparity", "_LOSSPARITY_COMPLETE").source(), nl=False)
