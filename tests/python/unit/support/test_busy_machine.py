"""Test how the suite copes with a busy machine: it retries ast.parse after a SystemError, and sets no deadlines."""

from __future__ import annotations

import ast

import pytest
from hypothesis import HealthCheck, settings

from busy_machine import parse_again


@pytest.mark.parametrize("times", [0, 1, 20])
def test_a_parser_that_miscounts_is_asked_again(times: int) -> None:
    left = [SystemError("AST constructor recursion depth mismatch")] * times

    def parse(text: str, *, mode: str) -> ast.AST:
        if left:
            raise left.pop()
        return ast.parse(text, mode=mode)

    assert isinstance(parse_again(parse)("1", mode="eval"), ast.Expression)
    assert not left


def test_a_parser_that_always_fails_is_given_up() -> None:
    def parse() -> ast.AST:
        raise SystemError("broken")

    with pytest.raises(SystemError, match="broken"):
        parse_again(parse)()


def test_what_is_wrong_with_the_text_is_raised_at_once() -> None:
    with pytest.raises(SyntaxError):
        parse_again(ast.parse)("1 +")


def test_no_example_fails_for_being_slow() -> None:
    default = settings()
    assert default.deadline is None
    assert HealthCheck.too_slow in default.suppress_health_check
