"""Build SQL expressions for random values and times. Each value is a function of a row's number, a name and the seed.

The draws are arithmetic on 32-bit whole numbers, so they do not depend on the DuckDB version, the threads or the order
of rows. A row's number is mixed once (`lowbias32` of C. Wellons, hash-prospector, public domain). Each draw of the row
multiplies the mixed number by an odd number that belongs to the draw, and takes the middle bits of the product
(multiply-shift hashing, Dietzfelbinger 1996). The expression of a draw contains the mixed number only once, which keeps
nested expressions short.

Times are whole seconds since `STARTS_AT`, a midnight in Tokyo, which has no summer time. The day is therefore a
quotient, and the second of the day a remainder.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from feature_mart.sample.shares import BULK_LOADED_AT, ENDS_AT, STARTS_AT, TRUSTED_FROM

DAY = 86_400
HOUR = 3_600
_MASK = "4294967295::ubigint"
_SPACE = 4294967296


def macros(seed: int) -> tuple[str, ...]:
    """Return the statements that create the SQL macros that the expressions of this module call."""
    stride = _mixed(seed, "stride") | 1
    start = f"epoch_us(timestamptz '{STARTS_AT}')"
    return (
        f"create macro mix_first(x) as (xor(x, x >> 16) * 2146121005::ubigint) & {_MASK}",
        f"create macro mix_second(x) as (xor(x, x >> 15) * 2221713035::ubigint) & {_MASK}",
        "create macro mix_last(x) as xor(x, x >> 16)",
        # Every step is a bijection, so two rows of the same `stream` never get the same mixed number.
        "create macro row_seed(i, stream) as mix_last(mix_second(mix_first("
        f"((i::ubigint & {_MASK}) * {stride}::ubigint + xor(stream::ubigint, {_mixed(seed, 'stream')}::ubigint))"
        f" & {_MASK})))",
        f"create macro draw(h, salt) as ((h * salt::ubigint) >> 16) & {_MASK}",
        f"create macro uniform(h, salt) as draw(h, salt)::double / {_SPACE}.0",
        # The sum of three uniform 10-bit numbers is approximately normal; it is scaled to mean 0 and deviation 1.
        "create macro bell(h, salt) as ((draw(h, salt) & 1023)::double + ((draw(h, salt) >> 11) & 1023)::double"
        " + ((draw(h, salt) >> 22) & 1023)::double - 1534.5) / 512.0",
        "create macro below(h, salt, n) as ((draw(h, salt) * n::ubigint) >> 32)::bigint",
        "create macro waiting(h, salt) as -ln(1.0 - uniform(h, salt))",
        f"create macro instant(t) as make_timestamptz({start} + t::bigint * 1000000)",
        # Round prices as people do, to multiples that grow with the price.
        """create macro round_yen(yen) as case
            when yen < 10000 then greatest(500, round(yen / 100) * 100)
            when yen < 50000 then round(yen / 500) * 500
            when yen < 300000 then round(yen / 1000) * 1000
            else round(yen / 10000) * 10000 end""",
        # Convert digits, capitals and a few signs to full width.
        """create macro full_width(t) as translate(t, '0123456789,ABCDEFGHIJKLMNOPQRSTUVWXYZ() ',
            '０１２３４５６７８９，ＡＢＣＤＥＦＧＨＩＪＫＬＭＮＯＰＱＲＳＴＵＶＷＸＹＺ（）　')""",
    )


def row_seed(number: str, stream: str) -> str:
    """Return an expression for the mixed number of a row, which is the seed of all draws of the row."""
    return f"row_seed({number}, {_salt(stream)})"


def uniform(what: str, seed: str = "h") -> str:
    """Return an expression for a uniformly distributed number of at least 0 and less than 1."""
    return f"uniform({seed}, {_salt(what)})"


def bell(what: str, seed: str = "h") -> str:
    """Return an expression for an approximately normal number of mean 0 and deviation 1, within ±3."""
    return f"bell({seed}, {_salt(what)})"


def below(what: str, n: int | str, seed: str = "h") -> str:
    """Return an expression for a whole number from 0 to ``n`` - 1; ``n`` must be less than 2^32."""
    return f"below({seed}, {_salt(what)}, {n})"


def waiting(what: str, seed: str = "h") -> str:
    """Return an expression for an exponentially distributed number of mean 1."""
    return f"waiting({seed}, {_salt(what)})"


def chance(what: str, share: float, seed: str = "h") -> str:
    """Return a condition that is true for a fraction ``share`` (0 to 1) of the rows."""
    return f"(draw({seed}, {_salt(what)}) < {round(share * _SPACE)}::ubigint)"


def pick(what: str, words: Sequence[str], seed: str = "h") -> str:
    """Return an expression for a word drawn from ``words`` with equal probabilities."""
    return f"{word_list(words)}[1 + {below(what, len(words), seed)}]"


def word_list(words: Sequence[str]) -> str:
    """Return an SQL list of strings."""
    return "[" + ", ".join("'" + word.replace("'", "''") + "'" for word in words) + "]"


def number_list(numbers: Sequence[float]) -> str:
    """Return an SQL list of numbers."""
    return "[" + ", ".join(str(number) for number in numbers) + "]"


def second_of_day(what: str, midnight_share: float) -> str:
    """Return an expression for a second of the day. Most are in office hours, some in the evening or at night.

    A fraction ``midnight_share`` (0 to 1) is within ten minutes of midnight. Seconds before midnight are negative.
    """
    kind, second = uniform(f"{what} hour"), uniform(f"{what} second")
    return f"""case
        when {kind} < {midnight_share} then floor(1200 * {second}) - 600
        when {kind} < 0.78 then 9 * {HOUR} + floor(10 * {HOUR} * {second})
        when {kind} < 0.95 then 18 * {HOUR} + floor(6 * {HOUR} * {second})
        else floor({DAY} * {second}) end::bigint"""


def streamed_load(event: str, what: str, late_share: float, seed: str = "h") -> str:
    """Return an expression for a load time that is five minutes to about six hours after the event.

    A fraction ``late_share`` (0 to 1) of the rows is loaded another one to six days later.
    """
    return f"""({event} + 300 + {below(f"{what} load", 6 * HOUR, seed)} + case
        when {chance(f"{what} late", late_share, seed)} then {DAY} + {below(f"{what} days", 5 * DAY, seed)}
        else 0 end)"""


def nightly_load(event: str, what: str, late_share: float, seed: str = "h") -> str:
    """Return an expression for a load at 03:00 of the next day, the time of the refresh.

    A fraction ``late_share`` (0 to 1) of the rows is loaded one to five days later.
    """
    return f"""(({event} // {DAY} + 1) * {DAY} + 3 * {HOUR} + case
        when {chance(f"{what} late", late_share, seed)} then {DAY} * (1 + {below(f"{what} days", 5, seed)})
        else 0 end)"""


def seconds_of(instant: str) -> str:
    """Return an expression for a fixed time, in seconds since `STARTS_AT`."""
    return f"((epoch_us(timestamptz '{instant}') - epoch_us(timestamptz '{STARTS_AT}')) // 1000000)"


def shown_load(load: str) -> str:
    """Return an expression for `loaded_at`: the time of the bulk load if ``load`` is before `TRUSTED_FROM`."""
    return f"instant(case when {load} < {_TRUSTED} then {_OPENED} else {load} end)"


def is_shown(load: str, next_load: str) -> str:
    """Return a condition for the versions that the warehouse contains.

    These are the versions loaded by `ENDS_AT`, without versions that were replaced before `TRUSTED_FROM`.
    """
    return (
        f"{load} <= {_END} and ({load} >= {_TRUSTED} or coalesce({next_load} >= {_TRUSTED}, true))"
    )


def copies(what: str, number: str, share: float, seed: str = "h") -> str:
    """Return an expression that duplicates a fraction ``share`` (0 to 1) of the rows.

    ``number`` is an expression that distinguishes rows with the same seed, such as the versions of a job.
    """
    # The multiplier of a draw must be odd. `_salt` is odd, and 2654435768 is even.
    multiplier = f"(({_salt(what)}::ubigint + {number}::ubigint * 2654435768::ubigint) & {_MASK})"
    return f"""unnest(case
        when draw({seed}, {multiplier}) < {round(share * _SPACE)}::ubigint then [1, 2]
        else [1] end) as copy"""


def _mixed(seed: int, what: str) -> int:
    return zlib.crc32(f"{seed} {what}".encode())


def _salt(what: str) -> int:
    return zlib.crc32(what.encode()) | 1


_END = seconds_of(ENDS_AT)
_OPENED = seconds_of(BULK_LOADED_AT)
_TRUSTED = seconds_of(TRUSTED_FROM)
