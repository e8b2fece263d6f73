"""Let the suite pass on a machine that is busy with other work: a generous timeout, and a retry of `ast.parse`."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import wraps
from typing import Any

#: Seconds that a test waits for another thread or process before it fails. On a busy machine a step may take a hundred
#: times as long as usual, so the value only limits the time of a suite that hangs.
PATIENCE_S = 600


def parse_again(parse: Callable[..., ast.AST]) -> Callable[..., ast.AST]:
    """Wrap ``ast.parse`` to retry if the interpreter miscounts the recursion depth.

    CPython before 3.11.8 has one depth counter for all threads. If two threads parse at once, it raises SystemError,
    "AST constructor recursion depth mismatch". pytest parses the files of a traceback to show a failure, and would
    crash.
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
