"""What lets the suite pass on a machine that other work keeps busy."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import wraps
from typing import Any

#: How long a test waits for another thread or process before it takes it for dead, in seconds. With other work on the
#: machine a step may take a hundred times as long as it should; this only decides when a suite that hangs ends.
PATIENCE_S = 600


def parse_again(parse: Callable[..., ast.AST]) -> Callable[..., ast.AST]:
    """Wrap ``ast.parse`` to parse again if the interpreter miscounts its own recursion.

    Before 3.11.8, CPython keeps one such count for all threads. It raises SystemError, "AST constructor recursion depth
    mismatch", if two threads parse at once. pytest parses the files of a traceback to show a failure, and would crash.
    """

    @wraps(parse)
    def patient(*arguments: Any, **options: Any) -> ast.AST:
        for _ in range(20):
            try:
                return parse(*arguments, **options)
            except SystemError:
                continue
        return parse(*arguments, **options)

    return patient
