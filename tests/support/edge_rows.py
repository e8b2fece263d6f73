"""Add rows with edge cases of text, numbers and time to a sample: rows that two engines may read differently."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from feature_mart.core.duckdb_files import connect, copy_to, parquet, quoted

#: Texts whose length, order, case or white space depends on the rules for Unicode.
TEXTS = (
    "",
    " ",
    "İSTANBUL ıI",
    "ΟΔΟΣ ΣΑΣ σς",
    "Straße ẞ ﬁ ǅ",
    "😀 👩‍👩‍👧 🇯🇵",
    "ﾊﾝｶｸ ｶﾞｷﾞ ＦＵＬＬ",
    "\u3000全角　空白\u3000",
    "\u00a0\u2003é é\u200b",
    'it\'s \\ "quoted" `x` %s {{ y }} -- z',
    "a\tb\nc\rd",
    "\U0010ffff\uffff\u0301",
)
#: Codes as a source system may write them. The mart compares codes without white space and in lower case.
CODES = (" OPEN ", "Completed\u3000", "CANCELLED", "\tcompleted\n", "İptal", "ΤΕΛΟΣ", "")
#: Prices as SQL literals. The macro `whole_amount` rounds prices half away from zero.
PRICES = ("0", "0.5", "1.5", "2.5", "0.499", "-0.0", "null", "0.0005", "999999999999", "1000000.5")
#: Ratings as SQL literals.
RATINGS = ("0.0", "-0.0", "1e-7", "4.9999995", "2.0000005", "null", "1e6")
#: Times on and next to refreshes, which are at 18:00 UTC, and in the hours in which clocks change.
TIMES = (
    "2025-11-02 05:30:00+00",
    "2025-11-02 06:30:00+00",
    "2026-03-08 06:59:59.999999+00",
    "2025-10-04 15:30:00+00",
    "2026-01-05 17:59:59.999999+00",
    "2026-01-05 18:00:00+00",
    "2026-01-05 18:00:00.000001+00",
)


def add_edge_rows(folder: Path) -> None:
    """Add copies of a sample's rows with the values above to its Parquet files in ``folder``."""
    texts, codes = [quoted(text) for text in TEXTS], [quoted(code) for code in CODES]
    times = [f"timestamptz '{time}'" for time in TIMES]
    changes: Mapping[str, Mapping[str, list[str]]] = {
        "jobs": {
            "title": texts,
            "description": [*texts[3:], "null"],
            "job_type": texts[1:],
            "category_id": ["category_id", "null", *texts[2:4]],
            "currency": ["'JPY'", "'jpy'", "null"],
            "budget_min": [f"cast({price} as double)" for price in PRICES],
            "budget_max": [f"cast({price} as double)" for price in PRICES[2:]],
            "posted_at": times,
            "loaded_at": times[1:],
            "status": codes,
        },
        "job_skills": {"skill": texts},
        "contracts": {
            "agreed_price": [f"cast({price} as double)" for price in PRICES],
            "contracted_at": times,
            "loaded_at": times[2:],
            "status": codes,
        },
        "reviews": {
            "rating": [f"cast({rating} as double)" for rating in RATINGS],
            "reviewer_kind": ["'client'", "'CLIENT '", "'freelancer'"],
            "loaded_at": times,
        },
        "clients": {"client_kind": codes, "prefecture": texts, "registered_at": times},
    }
    with connect() as con:
        for table, columns in changes.items():
            path = folder / f"{table}.parquet"
            con.execute(f"create table {table} as from {parquet(path)}")
            key = con.table(table).columns[0]
            rows = max(map(len, columns.values()))
            replaced = ", ".join(
                f"case row_number() over (order by {key}) % {len(values)} "
                + " ".join(f"when {number} then {value}" for number, value in enumerate(values))
                + f" end as {name}"
                for name, values in columns.items()
                if name in con.table(table).columns
            )
            new_key = "" if table == "job_skills" else f", 'edge-' || {key} as {key}"
            con.execute(
                f"insert into {table} select * replace ({replaced}{new_key}) "
                f"from (select * from {table} qualify row_number() over (partition by {key}) = 1) "
                f"order by {key} limit {rows}"
            )
            copy_to(con, f"from {table}", path)
