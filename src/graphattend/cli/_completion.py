"""``graphattend --print-completion SHELL``: what Tab offers."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

#: Metavars of arguments that are files.
FILES = ("FILE", "FOLDER", "FROM", "TO")
SHELLS = ("bash", "zsh", "tcsh")  # zsh runs the script for bash

#: `case` tells by the command and the word before what comes: names of files, or some words.
BASH = """_graphattend() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} command= words= files=
  ((COMP_CWORD > 1)) && [[ ${{COMP_WORDS[1]}} != -* ]] && command=${{COMP_WORDS[1]}}
  case "$command $before" in
{cases}
    *) case "$command" in
{commands}
    esac ;;
  esac
  COMPREPLY=($(compgen ${{files:+-f}} -W "$words" -- "$word"))
}}
complete -o filenames -F _graphattend graphattend
"""


class PrintCompletion(argparse.Action):
    """Print the completion script of a shell, and leave."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, values: Any, _option: object = None
    ) -> None:
        """Print it."""
        print(_tcsh(parser) if values == "tcsh" else _bash(parser, values), end="")
        parser.exit()


def _bash(parser: argparse.ArgumentParser, shell: str) -> str:
    cases, commands = [], []
    for name, command in {"": parser, **_commands(parser)}.items():
        positional = [action for action in command._actions if not action.option_strings]
        words = [*_options(command), *(word for action in positional for word in _words(action) or ())]
        files = "files=1 " if any(_words(action) is None for action in positional) else ""
        commands.append(f"      {shlex.quote(name)}) {files}words={shlex.quote(' '.join(words))} ;;")
        for action in command._actions:
            if action.option_strings and action.nargs != 0:
                patterns = "|".join(shlex.quote(f"{name} {option}") for option in action.option_strings)
                offered = _words(action)
                what = "files=1" if offered is None else f"words={shlex.quote(' '.join(offered))}"
                cases.append(f"    {patterns}) {what} ;;")
    first = "autoload -U +X bashcompinit && bashcompinit\n" if shell == "zsh" else ""
    return first + BASH.format(cases="\n".join(cases), commands="\n".join(commands))


def _tcsh(parser: argparse.ArgumentParser) -> str:
    rules = {}
    for command in _commands(parser).values():
        for action in command._actions:
            offered = _words(action)
            for option in action.option_strings if action.nargs != 0 else ():
                rules[option] = f"'n/{option}/{'f' if offered is None else '(' + ' '.join(offered) + ')'}/'"
    options = sorted({option.lstrip("-") for command in _commands(parser).values() for option in _options(command)})
    words = f"'p/1/({' '.join(_commands(parser))})/' 'c/--/({' '.join(options)})/'"
    return f"complete graphattend {words} {' '.join(rules.values())} 'p/*/f/'\n"


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The parsers of the commands."""
    return next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings


def _words(action: argparse.Action) -> list[str] | None:
    """What an argument may be; None for names of files."""
    if action.metavar in FILES:
        return None
    if action.metavar == "KEY" and "--mechanism" in action.option_strings:
        from ..mechanisms import list_mechanisms

        return list_mechanisms()
    return [str(choice) for choice in action.choices or ()]
