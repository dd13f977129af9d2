"""Options that select where a command's work runs: threads and processes of this machine, or a cluster."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from .. import simd
from ..errors import LoadError
from ..graph.conversions import need


def add_workers(command: argparse.ArgumentParser) -> None:
    """Add ``--threads``, ``--workers`` and ``--scheduler``."""
    command.add_argument("--threads", type=int, metavar="N", help="number of threads for large products (1)")
    where = command.add_mutually_exclusive_group()
    where.add_argument(
        "--workers", type=int, metavar="N", help="number of processes on this machine; -1 for all processors (1)"
    )
    where.add_argument(
        "--scheduler", metavar="ADDRESS", help="address of a dask.distributed cluster, such as tcp://10.0.0.1:8786"
    )


@contextlib.contextmanager
def workers(arguments: argparse.Namespace) -> Iterator[None]:
    """Return a context in which calls run on the workers that the arguments select."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(simd.num_threads(arguments.threads))
        if arguments.scheduler is not None:
            from .._parallel import parallel

            distributed = need("distributed", "distributed")
            try:
                client = distributed.Client(arguments.scheduler, timeout=10, set_as_default=False)
            except (OSError, ValueError) as error:
                reason = " ".join(str(error).split())[:120]
                raise LoadError(
                    f"--scheduler: {arguments.scheduler} cannot be reached ({reason})", argument="--scheduler"
                ) from None
            stack.enter_context(client)
            stack.enter_context(parallel(client))
        elif arguments.workers is not None:
            from .._parallel import parallel

            stack.enter_context(parallel(arguments.workers))
        yield
