"""``graphattend --print-completion SHELL``: scripts for Tab completion."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

#: Metavars of arguments that are files.
FILES = ("FILE", "FOLDER", "FROM", "TO")
SHELLS = ("bash", "zsh", "fish", "tcsh")  # zsh runs the script for bash

#: The command and the previous word determine what completes the next: file names, or fixed words.
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
    """Print the completion script of a shell, and exit."""

    def __call__(
        self, parser: argparse.ArgumentParser, _namespace: object, values: Any, _option: object = None
    ) -> None:
        """Print the script, and exit."""
        scripts = {"tcsh": _tcsh, "fish": _fish}
        print(scripts[values](parser) if values in scripts else _bash(parser, values), end="")
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


def _fish(parser: argparse.ArgumentParser) -> str:
    lines = ["complete -c graphattend -f"]
    for name, command in _commands(parser).items():
        told = f"-a {name} -d {shlex.quote(command.description or '')}"
        lines.append(f"complete -c graphattend -n __fish_use_subcommand {told}")
    for name, command in {"": parser, **_commands(parser)}.items():
        when = shlex.quote(f"__fish_seen_subcommand_from {name}" if name else "__fish_use_subcommand")
        for action in command._actions:
            flags = " ".join(f"-l {o[2:]}" if o.startswith("--") else f"-s {o[1:]}" for o in action.option_strings)
            offered = _words(action)
            if action.metavar == "COMMAND":
                continue
            if not action.option_strings:
                what = "-F" if offered is None else f"-a {shlex.quote(' '.join(offered))}"
            elif action.nargs == 0:
                what = ""
            else:
                what = "-r -F" if offered is None else f"-x -a {shlex.quote(' '.join(offered))}"
            told = "" if not action.help or not flags else f"-d {shlex.quote(action.help)}"
            lines.append(" ".join(part for part in ("complete -c graphattend -n", when, flags, what, told) if part))
    return "\n".join(lines) + "\n"


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
    """Return the parsers of the commands by name."""
    return next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction)).choices


def _options(parser: argparse.ArgumentParser) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings


def _words(action: argparse.Action) -> list[str] | None:
    """Return the values that an argument may have, or None for file names."""
    if action.metavar in FILES:
        return None
    if action.metavar == "KEY" and "--mechanism" in action.option_strings:
        from ..mechanisms import list_mechanisms

        return list_mechanisms()
    if action.metavar == "KEY" and "--codec" in action.option_strings:
        from ..compression import CODECS

        return list(CODECS)
    return [str(choice) for choice in action.choices or ()]
