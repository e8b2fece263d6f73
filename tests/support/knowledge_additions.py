"""Define additions to histories, requests and marts that change no existing feature, and edits that change features."""

from __future__ import annotations

from collections.abc import Mapping

from knowledge_edits import Edit, add, put

HISTORY = "feat_client__history.sql"
SERVED = "feat_job__client_at_request.sql"
CONTRACTS = "int_contract__versions.sql"
_FILTER = "where is_counted or is_cancelled\n"
_TIMES = "        enters_at,\n        {{ leaves_at('superseded_at') }} as leaves_at,\n"
_CANCELLED = "        case when is_cancelled then 1 else 0 end as cancelled_count_all,\n"


def summed(fact: str, column: str) -> Edit:
    """Return an edit that adds a column to the sums over a fact of the client's history."""
    return put(HISTORY, f"    '{fact}': [", f"    '{fact}': ['{column}', ")


def stated(column: str, expression: str) -> tuple[Edit, ...]:
    """Return edits that add a column, computed by ``expression``, to the states of the client's history."""
    line = "        review_count_all as client_review_count_all,\n"
    compared = "{{ changed_rows('client_id', [\n"
    return (
        put(HISTORY, line, f"{line}        {expression} as {column},\n"),
        put(HISTORY, compared, f"{compared}    '{column}',\n"),
    )


def served(column: str) -> tuple[Edit, ...]:
    """Return edits that add a column of the client's history to the features at the request."""
    joined = "{%- set history_columns = [\n"
    line = "        coalesce(client_posting_count_90d, 0) as client_posting_count_90d,\n"
    return (
        put(SERVED, joined, f"{joined}    '{column}',\n"),
        put(SERVED, line, f"{line}        coalesce({column}, 0) as {column},\n"),
    )


def selected(column: str) -> tuple[Edit, ...]:
    """Return edits that add a feature of the client to the features mart of price_estimation."""
    line = "        client.client_posting_count_90d,\n"
    return (put("mart_price_estimation__features.sql", line, f"{line}        client.{column},\n"),)


VOID_FACT = put(
    HISTORY,
    "{{ running_sums(",
    """voids as (

    select
        client_id,
        enters_at,
        {{ leaves_at('superseded_at') }} as leaves_at,
        1 as void_count_all
    from {{ ref('int_contract__versions') }}
    where not is_deleted and not is_counted and not is_cancelled

),

{{ running_sums(""",
)
IN_ITS_OWN_FACT = (
    VOID_FACT,
    put(HISTORY, "    'reviews': [", "    'voids': ['void_count_all'],\n    'reviews': ["),
    *stated("client_void_contract_count_all", "void_count_all"),
)
IN_A_WIDER_FACT = (
    put(
        HISTORY,
        _CANCELLED,
        _CANCELLED + "        case when status = 'void' then 1 else 0 end as void_count_all,\n",
    ),
    put(HISTORY, _FILTER, "where is_counted or is_cancelled or status = 'void'\n"),
    summed("contracts", "void_count_all"),
    *stated("client_void_contract_count_all", "void_count_all"),
)

#: Maps a name to additions that change the meaning of no existing feature, so the check asks for no reason.
ADDITIONS: Mapping[str, tuple[Edit, ...]] = {
    "a column of a fact, served to one consumer": (
        put(
            HISTORY,
            "        price_log_e6 as price_log_e6_365d\n",
            "        price_log_e6 as price_log_e6_365d,\n"
            "        case when price_log_e6 is null then 1 else 0 end as unpriced_count_365d\n",
        ),
        summed("contracts_of_a_year", "unpriced_count_365d"),
        *stated("client_unpriced_contract_count_365d", "unpriced_count_365d"),
        *served("client_unpriced_contract_count_365d"),
        *selected("client_unpriced_contract_count_365d"),
    ),
    "a fact": IN_ITS_OWN_FACT,
    "a fact, served": (*IN_ITS_OWN_FACT, *served("client_void_contract_count_all")),
    "a column of a fact that takes in more rows": IN_A_WIDER_FACT,
    "a column of the states": stated(
        "client_review_per_contract_ratio_all", "{{ ratio('review_count_all', 'contract_count_all') }}"
    ),
    "a second latest time": (
        put(
            HISTORY,
            _CANCELLED,
            f"{_CANCELLED}        case when is_cancelled then contracted_at end as last_gone_at,\n",
        ),
        summed("contracts", "last_gone_at"),
        put(HISTORY, "latest=['last_contracted_at']", "latest=['last_contracted_at', 'last_gone_at']"),
        *stated("client_last_cancelled_at", "last_gone_at"),
    ),
    "a fact of another history": (
        put(
            "feat_category__demand.sql",
            "{{ running_sums('category_id', {\n",
            "late_fills as (\n\n    select category_id, enters_at, leaves_at, 1 as late_count\n    from fills\n\n),\n\n"
            "{{ running_sums('category_id', {\n    'late_fills': ['late_count'],\n",
        ),
        put(
            "feat_category__demand.sql",
            "        posting_count as category_posting_count_90d,\n",
            "        posting_count as category_posting_count_90d,\n        late_count as category_late_count_90d,\n",
        ),
        put(
            "feat_category__demand.sql",
            "'category_posting_count_90d', ",
            "'category_posting_count_90d', 'category_late_count_90d', ",
        ),
    ),
    "a column of an int_ model, summed up": (
        put(CONTRACTS, "as is_cancelled\n", "as is_cancelled,\n        status = 'void' as is_void\n"),
        put(CONTRACTS, "        is_cancelled,\n", "        is_cancelled,\n        is_void,\n"),
        put(HISTORY, _CANCELLED, f"{_CANCELLED}        case when is_void then 1 else 0 end as void_count_all,\n"),
        put(HISTORY, _FILTER, "where is_counted or is_cancelled or is_void\n"),
        summed("contracts", "void_count_all"),
        *stated("client_void_contract_count_all", "void_count_all"),
    ),
    "a unit test": (
        add(
            "models/features/client/feat_client__history/more_unit_tests.yml",
            "unit_tests:\n  - name: more\n    model: feat_client__history\n    given: []\n    expect: {rows: []}\n",
        ),
    ),
}  # fmt: skip

#: Maps a name to edits, and to the names of the features whose meaning the edits change, separated by spaces.
CHANGES: Mapping[str, tuple[tuple[Edit, ...], str]] = {
    "a fact takes in fewer rows": (
        (put(HISTORY, _FILTER, "where is_counted\n"),),
        "client_cancelled_contract_ratio_all",
    ),
    "a fact is filtered": (
        (
            put(
                HISTORY,
                _FILTER,
                "where (is_counted or is_cancelled) and job_id is not null\n",
            ),
        ),
        "client_cancelled_contract_ratio_all client_contract_count_all client_last_contract_age_days",
    ),
    "a fact weighs more": (
        (put(HISTORY, "1 as contract_count_365d", "2 as contract_count_365d"),),
        "client_contract_count_365d",
    ),
    "a window is longer": (
        (put(HISTORY, "'posted_at', 90", "'posted_at', 91"),),
        "client_posting_count_90d",
    ),
    "a fact is of another client": (
        (
            put(
                HISTORY,
                f"        client_id,\n{_TIMES}        1 as review_count_all",
                f"        review_id as client_id,\n{_TIMES}        1 as review_count_all",
            ),
        ),
        "client_rating_mean_all client_review_count_all",
    ),
    "a fact is summed up as another": (
        (
            put(HISTORY, "'review_count_all', 'rating_e6_all'", "'rating_e6_all'"),
            put(HISTORY, "['posting_count_90d'", "['posting_count_90d', 'review_count_all'"),
            put(HISTORY, "1 as posting_count_90d\n", "1 as posting_count_90d,\n        1 as review_count_all\n"),
        ),
        "client_rating_mean_all client_review_count_all",
    ),
    "a fact is added to a column that is there": (
        (VOID_FACT, put(HISTORY, "1 as void_count_all", "1 as review_count_all"),
         put(HISTORY, "    'reviews': [", "    'voids': ['review_count_all'],\n    'reviews': [")),
        "client_rating_mean_all client_review_count_all",
    ),
}  # fmt: skip
