"""Define changes of models and features, with the expected result of `mart knowledge check --base`."""

from knowledge_edits import (
    CLIENT,
    FEATURES,
    HIRES,
    MARKS,
    QUANTITIES,
    SCRIPTS,
    TERMS,
    TEXT,
    TRAINING,
    Change,
    describe,
    put,
    section,
    why,
)

CHANGES = (
    # Staging and intermediate models.
    Change(
        "a staging model's literal",
        (put("stg_dwh__contracts.sql", "'active' as status", "'void' as status"),),
        "client_contract_count_all price_log exclusion_reason",
        "job_posted_hour",
        describe("stg_dwh__contracts.yml"),
    ),
    Change(
        "a staging model's column",
        (put("stg_dwh__jobs.sql", "cast(title as string)", "lower(cast(title as string))"),),
        "job_title_char_count job_title_kanji_ratio job_term_count",
        "job_budget_log job_posted_hour client_tenure_days",
        describe("stg_dwh__jobs.yml", "title"),
    ),
    Change(
        "an intermediate model's filter",
        (put("int_client__reviews.sql", "between 1 and 5", "between 2 and 5"),),
        "client_rating_mean_all client_review_count_all",
        "job_budget_log category_code job_term_count",
        describe("int_client__reviews.yml"),
    ),
    Change(
        "which version of a posting counts",
        (
            put(
                "int_job__requests.sql",
                "jobs.known_at = entering.first_known_at",
                "jobs.known_at >= entering.first_known_at",
            ),
        ),
        "job_budget_log job_title_char_count",
        "",
        describe("int_job__requests.yml"),
    ),
    Change(
        "the category of a contract",
        (put("int_contract__facts.sql", "spine_at='first_enters_at'", "spine_at='contracted_at'"),),
        "category_contract_count_90d",
        "job_budget_log job_title_kanji_ratio",
        describe("int_contract__facts.yml"),
    ),
    Change(
        "two columns of an intermediate model swapped",
        (
            put(
                "int_job__requests.sql",
                "entered.budget_min_amount,\n        entered.budget_max_amount,",
                "entered.budget_max_amount as budget_min_amount,\n"
                "        entered.budget_min_amount as budget_max_amount,",
            ),
        ),
        "job_budget_log job_budget_span_log",
        "job_title_char_count is_budget_missing",
        describe("int_job__requests.yml", "budget_max_amount"),
    ),
    # Python models.
    Change(
        "a Python model before a feature",
        (put(TERMS, "len(run) > 2", "len(run) > 3"),),
        "job_term_count term_lift_mean_all",
        "job_budget_log job_title_kanji_ratio client_tenure_days",
        describe("int_job__terms.yml", "term"),
    ),
    Change(
        "a helper two calls below",
        (put(TERMS, 'unicodedata.normalize("NFKD", mark)', 'unicodedata.normalize("NFD", mark)'),),
        "job_term_count",
        "is_urgent job_title_kanji_ratio",
        describe("int_job__terms.yml"),
    ),
    Change(
        "a constant of a Python feature",
        (put(TEXT, '"万": 10_000', '"万": 1_000'),),
        " ".join(QUANTITIES),
        " ".join((*MARKS, *SCRIPTS, "job_budget_log")),
        why(*QUANTITIES),
    ),
    Change(
        "a function of some Python features",
        (put(TEXT, "if word in text and whole", "if whole"),),
        " ".join(MARKS),
        " ".join((*QUANTITIES, *SCRIPTS)),
        section("feat_job__text.md", *MARKS),
    ),
    Change(
        "another function of the same module",
        (put(TEXT, "letters = sum(counts.values())", "letters = max(counts.values())"),),
        " ".join(SCRIPTS),
        " ".join((*QUANTITIES, *MARKS)),
        why(*SCRIPTS),
    ),
    Change(
        "one mark's word group",
        (put(TEXT, '"urgent": "is_urgent"', '"continuous": "is_urgent"'),),
        "is_urgent",
        " ".join(SCRIPTS),
        why(*MARKS, *QUANTITIES),
    ),
    Change(
        "what a Python model reads",
        (
            put(
                TEXT,
                'requests, seed = dbt.ref("int_job__requests")',
                'requests, seed = dbt.ref("int_job__versions")',
            ),
        ),
        " ".join((*MARKS, *SCRIPTS, *QUANTITIES)),
        "job_budget_log",
        "feat_job__text.md",
    ),
    # Labels and exclusions.
    Change(
        "a label's exclusion",
        (
            put(
                "int_job__price_label.sql", "agreed_price_amount <= 0", "agreed_price_amount <= 500"
            ),
        ),
        "price_log exclusion_reason",
        "job_budget_log label_known_at is_hired_within_14d",
        describe("int_job__price_label.yml", "exclusion_reason"),
    ),
    Change(
        "another label's exclusion",
        (
            put(
                "int_job__hire_label.sql",
                "hires.is_hired = 0 and hires.is_voided = 1",
                "hires.is_voided = 1",
            ),
        ),
        "is_hired_within_14d exclusion_reason",
        "price_log job_budget_log",
        describe("int_job__hire_label.yml"),
    ),
    Change(
        "a label known too early",
        (
            put(
                f"{HIRES}.sql",
                "labels.label_known_at,",
                "{{ add_hours('labels.label_known_at', -24 * 13) }} as label_known_at,",
            ),
        ),
        "label_known_at",
        "job_budget_log exclusion_reason",
        put("mart_hire_within_14d.yml", "The first refresh at", "Anew: the first refresh at"),
    ),
    Change(
        "rows excluded by their label",
        (
            put(
                f"{TRAINING}.sql",
                "labels.exclusion_reason\n",
                "case when labels.price_log > 15 then 'outlier' else labels.exclusion_reason end as exclusion_reason\n",
            ),
        ),
        "exclusion_reason",
        "price_log job_budget_log",
        put(
            "mart_price_estimation.yml",
            "the row must not be trained",
            "the row, an outlier, must not be trained",
        ),
    ),
    # Marts.
    Change(
        "a mart that swaps two columns",
        (
            put(
                f"{FEATURES}.sql",
                "texts.job_title_kanji_ratio,\n        texts.job_title_kana_ratio,",
                "texts.job_title_kana_ratio as job_title_kanji_ratio,\n"
                "        texts.job_title_kanji_ratio as job_title_kana_ratio,",
            ),
        ),
        "job_title_kanji_ratio job_title_kana_ratio",
        "job_title_latin_ratio",
        why("job_title_kanji_ratio", "job_title_kana_ratio"),
    ),
    Change(
        "a mart that transforms a column",
        (
            put(
                f"{FEATURES}.sql",
                "posting.job_budget_log,",
                "posting.job_budget_log * 2 as job_budget_log,",
            ),
        ),
        "job_budget_log",
        "job_budget_span_log",
        section(f"{FEATURES}.md", "job_budget_log"),
    ),
    Change(
        "a mart that fills a column",
        (
            put(
                f"{FEATURES}.sql",
                "client.client_rating_mean_all",
                "coalesce(client.client_rating_mean_all, 3) as client_rating_mean_all",
            ),
        ),
        "client_rating_mean_all",
        "client_review_count_all",
        why("client_rating_mean_all"),
    ),
    Change(
        "a mart that joins otherwise",
        (
            put(
                f"{FEATURES}.sql",
                "requests.job_id = category.job_id",
                "requests.job_id >= category.job_id",
            ),
        ),
        "category_contract_count_90d",
        "",
        f"{FEATURES}.md",
    ),
    Change(
        "a mart that leaves rows out",
        (
            put(
                f"{FEATURES}.sql",
                "    where requests.entered_at",
                "    where requests.title is not null and requests.entered_at",
            ),
        ),
        "job_budget_log client_tenure_days",
        "",
        f"{FEATURES}.md",
    ),
    # The SQL of feature models.
    Change(
        "today in a feature",
        (
            put(
                f"{CLIENT}.sql",
                "days_between('client_registered_at', 'requested_at')",
                "days_between('client_registered_at', 'current_timestamp')",
            ),
        ),
        "client_tenure_days",
        "client_rating_mean_all",
        why("client_tenure_days"),
    ),
    Change(
        "a table read past the graph",
        (
            put(
                f"{CLIENT}.sql",
                "        client_rating_mean_all\n    from joined",
                "        coalesce(client_rating_mean_all, raw.rating) as client_rating_mean_all\n    from joined\n"
                "    left join dwh.reviews as raw on joined.client_id = raw.client_id",
            ),
        ),
        "client_rating_mean_all",
        "job_budget_log",
        f"{CLIENT}.md",
    ),
    Change(
        "the same column of a join's other side",
        (
            put(
                "feat_category__prices.sql",
                "        moves.category_id,\n        moves.window_days,\n        moves.price_bucket,\n"
                "        changes",
                "        changes.category_id,\n        moves.window_days,\n        moves.price_bucket,\n"
                "        changes",
            ),
        ),
        "category_log_price_p50_365d",
        "category_contract_count_90d",
        "feat_category__prices.md",
    ),
    Change(
        "a window of a feature",
        (
            put(
                "feat_category__prices.sql",
                "select 365 as window_days",
                "select 300 as window_days",
            ),
        ),
        "category_contract_count_365d category_log_price_p50_365d",
        "job_budget_log",
        "feat_category__prices.md",
    ),
)
