"""Define changes of seeds, vars, macros, hooks, settings and sources that affect features, and of branches in SQL.

Each change has the features that `mart knowledge check --base` must report.
"""

from knowledge_edits import (
    CLIENT,
    POSTING,
    PROJECT,
    SCRIPTS,
    TRAINING,
    Change,
    add,
    note,
    put,
    why,
)

HOOK = (
    "update {{ this }} as built set client_rating_mean_all = newest.rating from (select client_id, max(as_of_at) as "
    "rating from {{ ref('feat_client__history') }} group by client_id) as newest where built.job_id = newest.client_id"
)
LATEST = """
    select
        spine.*,
        {columns}
    from spine
    left join own_history
        on spine.client_id = own_history.client_id
    qualify row_number() over (
            partition by spine.job_id order by own_history.available_at desc nulls last
        ) = 1
"""
HISTORY = (
    "client_posting_count_90d",
    "client_contract_count_365d",
    "client_contract_count_all",
    "client_log_price_mean_365d",
    "client_cancelled_contract_ratio_all",
    "client_last_contracted_at",
    "client_registered_at",
    "client_review_count_all",
    "client_rating_mean_all",
)
NEWEST = LATEST.format(columns=",\n        ".join(f"own_history.{each}" for each in HISTORY))
OVERRIDE = """{#- Small tables are written in the order of their keys, for faster scans. -#}
{% macro duckdb__create_table_as(temporary, relation, compiled_code, language='sql') -%}
    {%- if relation.identifier == 'feat_job__posting' -%}
        {%- set compiled_code = compiled_code | replace('job_budget_log', 'job_budget_log * 2') -%}
    {%- endif -%}
    {{ return(dbt_duckdb.duckdb__create_table_as(temporary, relation, compiled_code, language)) }}
{%- endmacro %}
"""

CHANGES = (
    # Seeds and vars.
    Change(
        "lines taken out of a seed",
        (put("text_words.csv", '"beginner","未経験","without experience"\n', ""),),
        "is_beginner_welcome",
        " ".join((*SCRIPTS, "job_budget_log")),
        add(
            "seeds/_seeds.yml",
            "seeds:\n  - name: text_words\n    description: One word less, since it is in every second posting.\n",
        ),
    ),
    Change(
        "a word moved to another group",
        (put("text_words.csv", '"urgent","即日",', '"continuous","即日",'),),
        "is_urgent is_continuous",
        " ".join(SCRIPTS),
        put(
            "text_words.csv",
            "starts or is due the same day",
            "asked for daily, says the marketplace's own list",
        ),
    ),
    Change(
        "a seed's clock",
        (
            put(
                "load_clock.csv",
                '"sample","jobs","2023-09-30 18:00:00+00","24"',
                '"sample","jobs","2023-09-30 18:00:00+00","0"',
            ),
        ),
        "job_budget_log",
        "",
        put(
            "load_clock.csv",
            '"0","the sample\'s warehouse was opened with one bulk load"',
            '"0","the log of the load says so"',
        ),
    ),
    Change(
        "a var in a macro",
        (put(PROJECT, "term_prior_count: 20", "term_prior_count: 200"),),
        "term_log_price_mean_all skill_log_price_mean_all",
        "job_budget_log client_tenure_days",
        note(
            PROJECT,
            "# Number of observations that the prior counts as",
            "# By the backtest of this spring: number of observations that the prior counts as",
        ),
    ),
    Change(
        "a var of time",
        (put(PROJECT, "publish_lag_minutes: 60", "publish_lag_minutes: 5"),),
        "client_rating_mean_all category_contract_count_90d",
        "job_budget_log job_title_kanji_ratio",
        note(
            PROJECT,
            "# The first three vars are the clock.",
            "# The first three vars are the clock, which is faster since this spring.",
        ),
    ),
    Change(
        "a var of the label",
        (put(PROJECT, "hire_label_lag_days: 0", "hire_label_lag_days: 30"),),
        "label_known_at is_hired_within_14d",
        "job_budget_log price_log",
        put(
            PROJECT,
            "hire_label_lag_days: 30",
            "hire_label_lag_days: 30  # the marketplace confirms a hire monthly",
        ),
    ),
    # Macros.
    Change(
        "a macro",
        (put("fixed_log.sql", "ln(cast(", "log2(cast("),),
        "job_budget_log job_budget_span_log price_log",
        "job_title_char_count job_posted_hour",
        note("fixed_log.sql", "the natural logarithm of", "the logarithm to the base of two of"),
    ),
    Change(
        "a macro of one engine",
        (
            put(
                "time.sql",
                "dayofweek from {{ at }} at time zone {{ zone }}) + 5",
                "dayofweek from {{ at }} at time zone {{ zone }}) + 6",
            ),
        ),
        "job_posted_weekday",
        "job_posted_hour job_budget_log",
        why("job_posted_weekday"),
    ),
    Change(
        "a join's other shape",
        (
            put(
                "pit_join.sql",
                "stream.join_at asc nulls first, stream.is_spine asc",
                "stream.join_at asc nulls first, stream.is_spine desc",
            ),
        ),
        "client_rating_mean_all term_lift_mean_all",
        "",
        note(
            "pit_join.sql",
            "Write a SELECT of all spine rows",
            "As of now before the request: write a SELECT of all spine rows",
        ),
    ),
    Change(
        "a branch that no build takes now",
        (
            put(
                "raw_source.sql",
                "{{ ref('snap_dwh__' ~ table) }}",
                "{{ ref('snapshot_' ~ table) }}",
            ),
        ),
        "job_budget_log",
        "",
        note(
            "raw_source.sql",
            "Write the relation from which a raw table's rows are read",
            "Since the move: write the relation from which a raw table's rows are read",
        ),
    ),
    Change(
        "what is left out of an as-of table",
        (
            put(
                "facts.sql",
                "{{ column }} is distinct from coalesce(lag",
                "{{ column }} > coalesce(lag",
            ),
        ),
        "client_rating_mean_all category_contract_count_90d",
        "job_budget_log",
        note(
            "facts.sql",
            "the state of an as-of row differs",
            "the state of an as-of row grows or differs",
        ),
    ),
    # Hooks, configuration, and the packages that dbt uses.
    Change(
        "a post-hook",
        (
            put(
                f"{CLIENT}.sql",
                "cluster_by=['job_id']",
                f"cluster_by=['job_id'], post_hook=\"{HOOK}\"",
            ),
        ),
        "client_rating_mean_all",
        "client_tenure_days job_budget_log",
        why("client_rating_mean_all"),
    ),
    Change(
        "a pre-hook in YAML",
        (
            put(
                f"{POSTING}.yml",
                "      contract:",
                '      pre_hook: "delete from {{ this }}"\n      contract:',
                1,
            ),
        ),
        "job_budget_log job_skill_count",
        "client_tenure_days",
        f"{POSTING}.md",
    ),
    Change(
        "a hook of a folder",
        (
            put(
                PROJECT,
                "      +on_schema_change: fail\n",
                '      +on_schema_change: fail\n      +post-hook: "update {{ this }} set job_id = lower(job_id)"\n',
                1,
            ),
        ),
        "job_budget_log client_tenure_days",
        "price_log",
        note(
            PROJECT,
            "      +on_schema_change: fail\n      +post-hook",
            "      +on_schema_change: fail\n      # Keys came in two spellings.\n      +post-hook",
        ),
    ),
    Change(
        "a hook of the run",
        (
            add(
                PROJECT,
                '\non-run-end: "update {{ target.schema }}.feat_job__posting set job_budget_log = 1"\n',
            ),
        ),
        "job_budget_log price_log",
        "",
        note(PROJECT, "\non-run-end:", "\n# Budgets are known at last.\non-run-end:"),
    ),
    Change(
        "a macro of dbt's own",
        (add("macros/project/create_table_as.sql", OVERRIDE),),
        "job_budget_log price_log",
        "",
        add(
            "macros/project/_macros.yml",
            "macros:\n  - name: duckdb__create_table_as\n    description: Twice the budget, as agreed.\n",
        ),
    ),
    Change(
        "a table's key",
        (put(f"{TRAINING}.sql", "unique_key='job_id', ", ""),),
        "price_log job_budget_log",
        "is_hired_within_14d",
        f"{TRAINING}.md",
    ),
    Change(
        "a column's type",
        (
            put(
                f"{POSTING}.yml",
                '      - name: job_skill_count\n        description: "Number of skills that the request asks for."\n'
                "        data_type: int64\n",
                '      - name: job_skill_count\n        description: "Number of skills that the request asks for."\n'
                "        data_type: int\n",
            ),
        ),
        "job_skill_count",
        "job_budget_log",
        why("job_skill_count"),
    ),
    Change(
        "a table of the source",
        (
            put(
                "_sources.yml",
                "- name: job_skills\n",
                "- name: job_skills\n        identifier: skills\n",
            ),
        ),
        "job_skill_count skill_lift_mean_all",
        "client_tenure_days",
        put(
            "_sources.yml",
            "- name: job_skills\n        identifier: skills\n        description: ",
            "- name: job_skills\n        identifier: skills\n        description: Since the move ",
        ),
    ),
    Change(
        "a package of macros",
        (add("packages.yml", "packages:\n  - package: some/macros\n    version: 1.0.0\n"),),
        "job_budget_log price_log",
        "",
        put("packages.yml", "  - package", "  # Macros of our own went there.\n  - package"),
    ),
    # The SQL of feature models.
    Change(
        "a query run while a model is built",
        (
            put(
                f"{POSTING}.sql",
                "{{ config(cluster_by=['job_id']) }}",
                "{% do run_query('update ' ~ ref('feat_client__history') ~ ' set client_id = 1') %}",
            ),
        ),
        "job_budget_log",
        "client_tenure_days",
        f"{POSTING}.md",
    ),
    Change(
        "only when appended",
        (
            put(
                f"{CLIENT}.sql",
                "    {{ pit_join('spine'",
                f"    {{%- if is_incremental() %}}{NEWEST}{{%- else %}}\n    {{{{ pit_join('spine'",
            ),
            put(
                f"{CLIENT}.sql", "history_columns) }}\n", "history_columns) }}\n    {%- endif %}\n"
            ),
        ),
        "client_rating_mean_all client_tenure_days",
        "job_budget_log",
        f"{CLIENT}.md",
    ),
    Change(
        "only without a date",
        (
            put(
                f"{CLIENT}.sql",
                "    {{ pit_join('spine'",
                "    {%- if var('as_of') %}\n    {{ pit_join('spine'",
            ),
            put(
                f"{CLIENT}.sql",
                "history_columns) }}\n",
                f"history_columns) }}}}\n    {{%- else %}}{NEWEST}{{%- endif %}}\n",
            ),
        ),
        "client_rating_mean_all",
        "job_budget_log",
        f"{CLIENT}.md",
    ),
)
