"""Define changes of the project's files that change no existing feature, which `mart knowledge check` must accept."""

from __future__ import annotations

import re

from knowledge_edits import (
    CLIENT,
    FEATURES,
    POSTING,
    PROJECT,
    TERMS,
    TEXT,
    Edit,
    Files,
    add,
    path_of,
    put,
)


def rename(name: str, old: str, new: str) -> Edit:
    """Return an edit that renames a whole word everywhere in a file."""

    def edit(files: Files) -> None:
        path = path_of(files, name)
        assert re.search(rf"\b{old}\b", files[path]), f"{path} has no {old!r}"
        files[path] = re.sub(rf"\b{old}\b", new, files[path])

    return edit


def move(name: str, first: str, last: str, before: str) -> Edit:
    """Return an edit that moves the text from ``first`` (included) to ``last`` (excluded) to before ``before``."""

    def edit(files: Files) -> None:
        path = path_of(files, name)
        text = files[path]
        start = text.index(first)
        end = text.index(last, start)
        block, rest = text[start:end], text[:start] + text[end:]
        at = rest.index(before)
        files[path] = rest[:at] + block + rest[at:]

    return edit


SKILLS_AGAIN = """kept_counts as (

    select
        job_id,
        skill_count
    from skill_counts

),

budgets as (
"""
FEATURE = """        cast(length(budgets.title) + length(budgets.description) as bigint) as job_text_char_count,
        coalesce(skill_counts.skill_count, 0) as job_skill_count"""
FEATURE_YAML = """      - name: job_text_char_count
        description: "Characters of title and description."
        data_type: int64
        config:
          meta:
            why: "A longer text asks for more work than a short one does."
            transform: "A plain count."
      - name: job_skill_count
"""
BUDGET = "        {{ ratio('budgets.budget_log_e6', '1000000') }} as job_budget_log,\n"


def rename_model(old: str, new: str) -> Edit:
    """Return an edit that renames a model in the paths and contents of all files."""

    def edit(files: Files) -> None:
        for path in list(files):
            files[path.replace(old, new)] = files.pop(path).replace(old, new)

    return edit


HONEST: dict[str, tuple[Edit, ...]] = {
    "rename a CTE": (rename(f"{POSTING}.sql", "budgets", "amounts"),),
    "rename a CTE that a macro is given by name": (
        rename(f"{CLIENT}.sql", "own_history", "known_history"),
    ),
    "rename the CTEs of imports": (
        rename("int_client__reviews.sql", "review_versions", "reviews"),
    ),
    "rename a CTE's own column": (
        rename("feat_category__prices.sql", "running_count", "count_so_far"),
    ),
    "rename an alias of a table": (
        put("load_clock.sql", "as load_clock", "as clock"),
        put("load_clock.sql", "load_clock.", "clock."),
    ),
    "one more CTE that passes columns on": (
        put(f"{POSTING}.sql", "budgets as (\n", SKILLS_AGAIN, 1),
        put(
            f"{POSTING}.sql",
            "coalesce(skill_counts.skill_count",
            "coalesce(kept_counts.skill_count",
        ),
        put(
            f"{POSTING}.sql",
            "    left join skill_counts\n        on budgets.job_id = skill_counts.job_id",
            "    left join kept_counts\n        on budgets.job_id = kept_counts.job_id",
        ),
    ),
    "an expression in a CTE of its own": (
        put(
            f"{POSTING}.sql",
            "        length(budgets.title) as job_title_char_count",
            "        budgets.title_length as job_title_char_count",
        ),
        put(
            f"{POSTING}.sql",
            "        title,\n        description,",
            "        title,\n        length(title) as title_length,\n        description,",
        ),
    ),
    "an expression taken out of a CTE": (
        put(
            f"{POSTING}.sql",
            "when budgets.is_budget_missing",
            "when budgets.budget_min_amount is null and budgets.budget_max_amount is null",
        ),
        put(
            f"{POSTING}.sql",
            "budget_min_amount is null and budget_max_amount is null as is_budget_missing",
            "budget_min_amount, budget_max_amount",
        ),
    ),
    "CTEs in another order": (
        move(f"{POSTING}.sql", "skills as (", "skill_counts as (", "requests as ("),
    ),
    "columns in another order": (
        put(f"{POSTING}.sql", BUDGET, ""),
        put(
            f"{POSTING}.sql",
            "        length(budgets.title)",
            BUDGET + "        length(budgets.title)",
        ),
    ),
    "comments and layout": (
        put(
            f"{POSTING}.sql",
            "skill_counts as (\n",
            "-- Each job's skills, counted.\nskill_counts as (\n\n",
            1,
        ),
        put(f"{POSTING}.sql", "from skills\n    where", "FROM skills /* all of them */ WHERE"),
    ),
    "brackets, and equals the other way round": (
        put(
            f"{FEATURES}.sql",
            "requests.job_id = posting.job_id",
            "(posting.job_id = requests.job_id)",
        ),
        put(
            "int_job__price_label.sql",
            "not is_counted or agreed_price_amount is null",
            "agreed_price_amount is null or (not is_counted)",
        ),
    ),
    "clustering": (
        put(
            f"{POSTING}.sql",
            "cluster_by=['job_id']",
            "cluster_by=['entered_at', 'job_id'], tags=['nightly']",
        ),
    ),
    "partitions and tags of a folder": (
        put(
            PROJECT,
            "      +on_schema_change: fail\n",
            "      +on_schema_change: append_new_columns\n      +tags: [nightly]\n",
        ),
    ),
    "a left join that adds no rows": (
        put(
            f"{POSTING}.sql",
            "    left join skill_counts\n",
            "    left join requests\n        on budgets.job_id = requests.job_id\n    left join skill_counts\n",
        ),
    ),
    "a new feature": (
        put(
            f"{POSTING}.sql",
            "        coalesce(skill_counts.skill_count, 0) as job_skill_count",
            FEATURE,
        ),
        put(f"{POSTING}.yml", "      - name: job_skill_count\n", FEATURE_YAML),
    ),
    "a new feature of an as-of table": (
        put(
            "feat_category__prices.sql",
            "    'category_active_freelancer_count_365d',\n",
            "    'category_active_freelancer_count_365d',\n    'category_log_price_sum_90d',\n",
        ),
        put(
            "feat_category__prices.sql",
            "        as_of_at\n        {%- for days in [90, 365] %},\n        contract_count",
            "        as_of_at,\n        price_log_e6_90d as category_log_price_sum_90d\n"
            "        {%- for days in [90, 365] %},\n        contract_count",
        ),
    ),
    "a new fact column and a new feature of a history": (
        put(
            "feat_category__demand.sql",
            "        1 as fill_count\n",
            "        1 as fill_count,\n        contract_versions.price_log_e6\n",
        ),
        put("feat_category__demand.sql", "['fill_count']", "['fill_count', 'price_log_e6']"),
        put(
            "feat_category__demand.sql",
            "as category_fill_ratio_90d\n",
            "as category_fill_ratio_90d,\n        price_log_e6 as category_log_price_sum_90d\n",
        ),
        put(
            "feat_category__demand.sql",
            "'category_fill_ratio_90d',\n",
            "'category_fill_ratio_90d',\n    'category_log_price_sum_90d',\n",
        ),
    ),
    "a column that readers know by another name": (
        rename("int_client__reviews.sql", "rating_e6", "rating_millionths"),
        rename("int_client__reviews.yml", "rating_e6", "rating_millionths"),
        rename("feat_client__history.sql", "rating_e6", "rating_millionths"),
    ),
    "rename a model": (rename_model("int_client__reviews", "int_client__ratings"),),
    "a model that passes all on": (
        add(
            "models/intermediate/job/int_job__x.sql", "select * from {{ ref('int_job__requests') }}"
        ),
        put(f"{POSTING}.sql", "ref('int_job__requests')", "ref('int_job__x')"),
    ),
    "an expression made a macro": (
        put(
            f"{POSTING}.sql",
            BUDGET,
            "        {{ millionths('budgets.budget_log_e6') }} as job_budget_log,\n",
        ),
        add(
            "macros/expressions/millionths.sql",
            "{#- Of a number in millionths. -#}\n"
            "{% macro millionths(x) -%}\n    {{ ratio(x, '1000000') }}\n{%- endmacro %}\n",
        ),
    ),
    "a macro's parameters and comments": (
        rename("fixed_log.sql", "x", "amount"),
        put("fixed_log.sql", "{% macro", "{#- Half away from zero. -#}\n{% macro"),
    ),
    "a macro that no feature calls": (
        put("job_labels.sql", "'feature_mart'", "'features'"),
        add("macros/expressions/unused.sql", "{% macro unused(x) %}{{ x }} + 1{% endmacro %}\n"),
    ),
    "what the quality of a build is measured by": (
        put("int_mart__profiles.sql", "final as (", "measured as ("),
        put("int_mart__profiles.sql", "from final", "from measured"),
        put(PROJECT, "profile_days: 28", "profile_days: 56"),
    ),
    "Python: names of its own": (
        rename(TERMS, "found", "terms_found"),
        rename(TERMS, "_in_canonical_order", "_ordered"),
        rename(TERMS, "run", "stretch"),
        rename(TEXT, "largest", "most"),
        rename(TEXT, "_WIDTHS", "_WIDE"),
        rename(TEXT, "_unit", "_unit_pattern"),
    ),
    "Python: names of parameters": (
        rename(TEXT, "group", "word_kind"),
        rename(TERMS, "marks", "signs"),
        rename(TERMS, "page", "part"),
    ),
    "Python: order of functions and imports": (
        move(TEXT, "def plain_text", "def text_features", "def script_ratios"),
        put(TERMS, "import re\nimport unicodedata\n", "import unicodedata\nimport re\n"),
        put(TERMS, "import pandas as pd", "import pandas"),
        rename(TERMS, "pd", "pandas"),
    ),
    "Python: docstrings, comments and hints": (
        put(TEXT, '"""Return the share of each', '"""Return the shares of each'),
        put(
            TEXT,
            "def script_ratios(text: str) -> dict[str, float | None]:",
            "def script_ratios(text):",
        ),
        put(TEXT, "largest: dict[str, float | None] =", "largest ="),
        put(TERMS, "# A term is a run", "# A run is a term"),
    ),
    "Python: a local for an expression": (
        put(
            TERMS,
            "    for match in _RUN.finditer(normalise(title)):",
            "    plain = normalise(title)\n    matches = _RUN.finditer(plain)\n    for match in matches:",
        ),
        put(TEXT, "    letters = sum(counts.values())\n", ""),
        put(TEXT, "/ letters if letters", "/ sum(counts.values()) if sum(counts.values())"),
    ),
    "Python: a function for an expression": (
        put(TERMS, "normalise(title)):", "_plain(title)):"),
        put(
            TERMS,
            "def terms(",
            'def _plain(text: str) -> str:\n    """Return it plain."""\n    return normalise(text)\n\n\ndef terms(',
        ),
        put(TEXT, '_TAG.sub(" ", description)', "_untagged(description)"),
        put(
            TEXT,
            "def plain_text(",
            'def _untagged(html_text):\n    blank = " "\n    return _TAG.sub(blank, html_text)\n\n\ndef plain_text(',
        ),
    ),
    "Python: a new column": (
        put(
            TEXT,
            "    is_missing = title is None",
            '    features["job_text_line_count"] = text.count("\\n")\n    is_missing = title is None',
        ),
        put(TEXT, "COLUMNS = {\n", 'COLUMNS = {\n    "job_text_line_count": "Int64",\n'),
        put(
            "feat_job__text.yml",
            "      - name: is_urgent\n",
            '      - name: job_text_line_count\n        description: "Lines."\n      - name: is_urgent\n',
        ),
    ),
    "a seed's notes and the order of its lines": (
        put("text_words.csv", "asks for work at once", "asks for it at once, and pays for that"),
        move("text_words.csv", '"urgent","特急"', '"urgent","urgent"', '"urgent","急募"'),
    ),
    "a var's comment, and a var that nothing reads": (
        put(PROJECT, "# Number of observations that", "# The number of observations that"),
        put(PROJECT, "  profile_rows: 100", "  profile_rows: 100\n  unread: 1"),
    ),
    "a test of keys less, and another clustering": (
        put("feat_job__skills_at_request.yml", "same_keys_as", "same_keys_in"),
        put("int_job__skills.yml", "unique_together", "unique_apart"),
        put(f"{POSTING}.sql", "cluster_by=['job_id']", "cluster_by=['entered_at']"),
    ),
    "descriptions and tests in YAML": (
        put(
            f"{POSTING}.yml",
            "Number of skills that the request asks for.",
            "Skills that are asked for.",
        ),
        put("int_job__terms.yml", "The term, after NFKC and case folding.", "One term."),
        put("_sources.yml", "Clients, who post jobs.", "Clients."),
    ),
}
