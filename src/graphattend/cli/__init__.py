"""The command line: ``graphattend COMMAND``, one command per file.

Exit status: 0 on success, 2 on wrong usage, bad input or a full disk (one line on stderr names it), 130 on Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from ..errors import AttentionError
from ..registry import Registry
from ._completion import SHELLS, PrintCompletion

#: Commands by name: modules with ``HELP``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(arguments)``.
COMMANDS: Registry[Any] = Registry(
    "command",
    {
        "list": "graphattend.cli.list_",
        "info": "graphattend.cli.info",
        "analyze": "graphattend.cli.analyze",
        "compare": "graphattend.cli.compare",
        "evaluate": "graphattend.cli.evaluate",
        "recommend": "graphattend.cli.recommend",
        "train": "graphattend.cli.train",
        "embed": "graphattend.cli.embed",
        "compress": "graphattend.cli.compress",
        "convert": "graphattend.cli.convert",
        "partition": "graphattend.cli.partition",
        "attend": "graphattend.cli.attend",
        "benchmark": "graphattend.cli.benchmark",
    },
)


class _Parser(argparse.ArgumentParser):
    """Parser that reports an error in one line."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and exit with status 2."""
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Print a text; argparse's method hides that the disk is full."""
        print(message, end="", file=file or sys.stderr)


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands.

    Example:
        >>> from graphattend.cli import parser
        >>> parser().parse_args(["list", "--json"]).json
        True
    """
    from .. import __version__

    top = _Parser(prog="graphattend", description="Attention mechanisms for graph latent spaces.")
    top.add_argument("--version", action="version", version=f"graphattend {__version__}")
    top.add_argument(
        "--print-completion",
        action=PrintCompletion,
        choices=SHELLS,
        help="print a completion script for a shell",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, module in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.HELP,
            epilog="\n".join(["examples:", *(f"  {line}" for line in module.EXAMPLES)]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments without the program's name; by default ``sys.argv[1:]``.

    Returns:
        The exit status.

    Example:
        >>> from graphattend.cli import main
        >>> main(["analyze", "--graph", "no-such-file.csv"])
        2
    """
    status, problem = _run(argv)
    try:
        sys.stdout.flush()
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            status, problem = 2, _reason(error)
        _drop_output()
    if problem:
        with contextlib.suppress(OSError):
            print(f"graphattend: {problem}", file=sys.stderr)
    return status


def _run(argv: Sequence[str] | None) -> tuple[int, str]:
    """Run one command; return the exit status and what went wrong, in one line."""
    try:
        arguments = parser().parse_args(argv)
        arguments.run(arguments)
    except AttentionError as error:
        return 2, _reason(error)
    except KeyboardInterrupt:
        return 130, "interrupted"
    except BrokenPipeError:  # the reader (head, less) has closed the pipe
        return 0, ""
    except OSError as error:  # the disk is full, for example; files that cannot be read raise LoadError
        return 2, _reason(error)
    except MemoryError as error:
        return 2, _reason(error)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0, ""
    return 0, ""


def _reason(error: Exception) -> str:
    """Describe an error in one line."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return "not enough memory"
    return " ".join(str(error).split())


def _drop_output() -> None:
    """Discard what could not be written, because Python writes it again at its end and would fail."""
    with contextlib.suppress(OSError):  # output that is no file
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
