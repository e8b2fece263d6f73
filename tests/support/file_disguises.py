"""Rewrite the keys, values, times or column names of a training file in formats that the mart does not use."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

COUNT, PRICE = "client_contract_count_all", "client_log_price_mean_365d"


def number(value: str) -> str:
    return f"{float(value):.6f}"


KEYS: dict[str, Callable[[str], str]] = {
    "an int": lambda k: str(int(k[1:])),
    "a float": lambda k: f"{int(k[1:])}.0",
    "lower case": str.lower,
    "a blank after": lambda k: k + " ",
    "a blank before": lambda k: " " + k,
    "a full-width blank": lambda k: k + "\u3000",
    "full width": lambda k: "".join(chr(ord(c) + 0xFEE0) for c in k),
    "decimals": lambda k: k + ".0",
    "fewer zeros": lambda k: f"C{int(k[1:])}",
    "more zeros": lambda k: f"C000{k[1:]}",
    "another prefix": lambda k: "client-" + k,
    "a hyphen": lambda k: k[0] + "-" + k[1:],
    "quotes": lambda k: f"'{k}'",
    "bytes": lambda k: f"b'{k}'",
}
VALUES: dict[str, Callable[[str], str]] = {
    "a decimal comma": lambda v: number(v).replace(".", ","),
    "a yen sign": lambda v: "\N{YEN SIGN}" + number(v),
    "thousands": lambda v: f"{1000 + float(v):,.2f}",
    "thousands of Europe": lambda v: f"1.{number(v).replace('.', ',')}",
    "a blank within": lambda v: "1 " + number(v),
    "brackets": lambda v: f"({v})",
    "per cent": lambda v: v + "%",
    "full width": lambda v: "".join(chr(ord(c) + 0xFEE0) for c in v),
    "a unit": lambda v: v + " JPY",
    "hex": lambda v: hex(int(float(v))),
    "underscores": lambda v: "1_000" + v,
    "N/A": lambda _: "N/A",
    "a hyphen": lambda _: "-",
    "inf": lambda _: "inf",
    "None": lambda _: "None",
    "a list": lambda v: f"[{v}]",
    "a date": lambda _: "2024-01-05",
}
TIMES: dict[str, str] = {
    "day first": "%d/%m/%Y %H:%M:%S",
    "month first": "%m/%d/%Y %H:%M:%S",
    "day first with points": "%d.%m.%Y %H:%M",
    "two-digit year": "%d-%m-%y %H:%M",
    "seconds": "%s",
    "nothing between": "%Y%m%d",
    "month by name": "%d %b %Y %H:%M",
    "am and pm": "%Y-%m-%d %I:%M %p",
    "a zone by name": "%Y-%m-%d %H:%M:%S Asia/Tokyo",
    "year 1": "0001-01-01 00:00:00",
}
DISGUISES: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    **{
        f"keys: {k}": (lambda f, d=d: f.assign(client_id=f.client_id.map(d)))
        for k, d in KEYS.items()
    },
    **{
        f"values: {k}": (lambda f, d=d: f.assign(**{c: f[c].map(d) for c in (COUNT, PRICE)}))
        for k, d in VALUES.items()
    },
    **{
        f"times: {k}": (lambda f, d=d: f.assign(requested_at=f.requested_at.dt.strftime(d)))
        for k, d in TIMES.items()
    },
    "times: in UTC without offset": lambda f: f.assign(
        requested_at=f.requested_at.dt.tz_localize(None)
    ),
    "names in capitals": lambda f: f.rename(columns={COUNT: COUNT.upper(), PRICE: PRICE.upper()}),
}
