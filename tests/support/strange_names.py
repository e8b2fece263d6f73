"""Names that a file system allows and that SQL, a glob pattern or a partition layout could interpret."""

from __future__ import annotations

#: Each works for a folder and for a file.
NAMES = (
    "a[2]",
    "a*b",
    "**",
    "o'brien",
    "''",
    "status=active",
    "currency=JPY",
    " leading and trailing ",
    "日本の案件",
    "e\u0301",
    "{{ var }}",
    "a%20b#c",
    "a;b--c",
    'a"b',
    "$HOME",
    "~root",
    "-x",
    "a,b",
    "a:b",
    "[!a]",
    "a|b&c",
    "(a)",
    "a`b",
    "..x",
)
#: All of them in one name, for tests that take seconds.
WORST = "o'brien's [2] * status=active;--{{x}} 日本 \"q\""
