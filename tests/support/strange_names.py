"""List names of files that contain special characters of SQL, Jinja, shells, URLs, globs or partition layouts."""

from __future__ import annotations

#: Each name is a valid name of a folder and of a file.
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
#: One name with most of the special characters, for slow tests that cannot try every name.
WORST = "o'brien's [2] * status=active;--{{x}} 日本 \"q\""
