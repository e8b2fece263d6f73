"""Test the checks of SQL that dbt renders without a warehouse: sqlfluff for DuckDB, and GoogleSQL for BigQuery."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[4]

DBT_PROJECT = """\
name: tiny
version: 1.0.0
profile: feature_mart
model-paths: [models]
macro-paths: [macros]
"""

CLEAN = """\
with things as (

    select * from {{ ref('source_things') }}

),

final as (

    select things.thing_id
    from things
    {% if is_incremental() %}
    where things.thing_id is not null
    {% endif %}
)

select * from final
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """Return a dbt project of two models with the project's sqlfluff configuration."""
    shutil.copy(PROJECT / ".sqlfluff", tmp_path)
    shutil.copytree(PROJECT / "profiles", tmp_path / "profiles")
    (tmp_path / "dbt_project.yml").write_text(DBT_PROJECT)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "source_things.sql").write_text("select 1 as thing_id\n")
    (tmp_path / "models" / "things.sql").write_text(CLEAN)
    return tmp_path


ALIASED = """\
{{ config(materialized='incremental') }}
with things as (

    select * from {{ ref('source_things') }}

),

final as (

    select things.thing_id
    from things
    {%- if is_incremental() %}
    left join {{ this }} as built
        on things.thing_id = built.thing_id
    {%- endif %}

)

select * from final
"""


def lint(project: Path) -> tuple[int, str]:
    return run(project, "house_rules.sqlfluff", "lint")


def portable(project: Path) -> tuple[int, str]:
    return run(project, "house_rules.portability")


Check = Callable[[Path], tuple[int, str]]


def run(project: Path, module: str, *arguments: str) -> tuple[int, str]:
    # Without credentials and network, a model that queries BigQuery fails.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        # Keep the compiled module of GoogleSQL, because compiling it takes half a minute.
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "https_proxy": "http://[::1]:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        check=False,
        cwd=project,
        env=environment | {"PYTHONPATH": str(PROJECT / "python")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    return done.returncode, done.stdout + done.stderr


def test_clean_models_pass_without_a_warehouse(tiny: Path) -> None:
    assert lint(tiny) == (0, "\n")


@pytest.mark.parametrize(
    ("sql", "check", "other"),
    [
        ("select 7 // 2 as half\n", portable, lint),
        ("select as struct 1 as thing\n", lint, portable),
    ],
)
def test_what_one_engine_alone_can_parse_fails_for_the_other(
    tiny: Path, sql: str, check: Check, other: Check
) -> None:
    (tiny / "models" / "things.sql").write_text(sql)
    assert other(tiny)[0] == 0
    code, output = check(tiny)
    assert code == 1
    assert "models/things.sql:1:" in output
    assert "PRS" in output or "Syntax error" in output


@pytest.mark.parametrize("branch", ["is_incremental()", "not is_incremental()"])
def test_the_full_build_and_the_later_run_are_both_read(tiny: Path, branch: str) -> None:
    model = "{{ config(materialized='incremental') }}\nselect 1 as thing_id\n"
    (tiny / "models" / "things.sql").write_text(
        f"{model}{{% if {branch} %}}\nwhere where\n{{% endif %}}\n"
    )
    code, output = portable(tiny)
    assert code == 1
    assert "models/things.sql:4: googlesql: Syntax error" in output
    assert lint(tiny)[0] == (1 if branch == "is_incremental()" else 0)


def test_only_the_table_being_built_may_have_an_alias(tiny: Path) -> None:
    (tiny / "models" / "things.sql").write_text(ALIASED)
    assert lint(tiny) == (0, "\n")
    renamed = CLEAN.replace("from things", "from things as t").replace(
        "things.thing_id", "t.thing_id"
    )
    (tiny / "models" / "things.sql").write_text(renamed)
    assert "AL07" in lint(tiny)[1]


def test_style_is_judged_and_placed_in_the_file(tiny: Path) -> None:
    shouted = CLEAN.replace("select things.thing_id", "SELECT things.thing_id")
    (tiny / "models" / "things.sql").write_text(shouted)
    code, output = lint(tiny)
    assert code == 1
    assert "models/things.sql:9:5: CP01 capitalisation.keywords" in output


def test_a_model_that_does_not_compile_fails(tiny: Path) -> None:
    (tiny / "models" / "things.sql").write_text("select {{ no_such_macro() }}\n")
    code, output = lint(tiny)
    assert code != 0
    assert "no_such_macro" in output


def test_nothing_to_lint_is_a_failure(tiny: Path) -> None:
    shutil.rmtree(tiny / "models")
    code, output = lint(tiny)
    assert code != 0
    assert "no SQL file" in output


LAID_OUT = {
    "LT01": ("from things", "from  things"),
    "LT02": ("    select things", "      select things"),
    "LT04": ("select things.thing_id", "select\n        things.thing_id\n        , 1 as one"),
    "LT05": ("    select things.thing_id", f"    select things.thing_id, '{'long' * 30}' as text"),
    "LT08": (")\n\nselect * from final", ")\nselect * from final"),
    "LT12": ("select * from final\n", "select * from final\n\n"),
    "LT14": ("    from things", "    from things where things.thing_id > 0\n    -- a"),
}


def test_each_rule_of_layout_still_reads_the_whole_file(tiny: Path) -> None:
    for rule, (text, faulty) in LAID_OUT.items():
        assert text in CLEAN
        (tiny / "models" / f"{rule.lower()}.sql").write_text(CLEAN.replace(text, faulty))
    code, output = lint(tiny)
    assert code == 1
    found = {tuple(line.split(": ")[:2]) for line in output.splitlines()}
    for rule in LAID_OUT:
        assert any(
            place.startswith(f"models/{rule.lower()}.sql:") and said.startswith(rule)
            for place, said in found
        ), f"{rule} of {sorted(found)}"


def test_what_was_clean_is_read_again_once_its_macro_changes(tiny: Path) -> None:
    """Run the linter three times. The second run uses the cached results; the third reads the model again."""
    subprocess.run(["git", "init", "--quiet", str(tiny)], check=True)
    macro = tiny / "macros" / "more.sql"
    macro.parent.mkdir()
    macro.write_text("{% macro more() %}1 + 1{% endmacro %}\n")
    (tiny / "models" / "more.sql").write_text("select {{ more() }} as two\n")
    code, output = run(tiny, "house_rules.lint", "sqlfluff")
    assert (code, "ok" in output) == (0, True), output
    assert "kept" in run(tiny, "house_rules.lint", "sqlfluff")[1]
    macro.write_text("{% macro more() %}where where{% endmacro %}\n")
    code, output = run(tiny, "house_rules.lint", "sqlfluff")
    assert code == 1
    assert "models/more.sql:1:" in output
    assert "PRS" in output
    assert "models/things.sql" not in output


def test_a_project_that_was_never_parsed_is_checked_in_a_forked_process(tiny: Path) -> None:
    """Parse the project with other dbt vars in the fork: dbt's static parser has its threads in the parent only."""
    # The static parser reads a model that contains only calls of config, ref and source.
    (tiny / "models" / "static.sql").write_text(
        "{{ config(materialized='table') }}\nselect thing_id from {{ ref('source_things') }}\n"
    )
    subprocess.run(["git", "init", "--quiet", str(tiny)], check=True)
    code, output = run(tiny, "house_rules.lint", "portable")
    assert code == 0, output


@pytest.mark.parametrize("check", ["reach", "portable"])
def test_a_project_that_does_not_parse_fails_each_check(tiny: Path, check: str) -> None:
    subprocess.run(["git", "init", "--quiet", str(tiny)], check=True)
    (tiny / "models" / "things.sql").write_text("select {{ ref('nothing') }}\n")
    code, output = run(tiny, "house_rules.lint", check)
    assert code == 1
    assert f"--- {check}" in output
    assert "nothing" in output


# A model with two branches, a macro with a division and a generic test with a sum. None of them is portable.
BRANCHES = """\
{{ config(materialized='incremental') }}
select things.thing_id
from {{ ref('source_things') }} as things
{%- if is_incremental() %}
where exists (
    select 1 from {{ ref('source_things') }} as later where later.thing_id < things.thing_id
)
{%- else %}
where exists (
    select 1 from {{ ref('source_things') }} as first where first.thing_id < things.thing_id
)
{%- endif %}
"""
SHARES = """\
select
    {{ share('things.thing_id', 'things.thing_id') }} as half,
    -- allow divisor: ids begin at 1
    {{ share('things.thing_id', 'things.thing_id') }} as other_half
from {{ ref('source_things') }} as things
"""
SHARE = "{% macro share(a, b) %}\n    {{ a }}\n    / {{ b }}\n{% endmacro %}\n"
POSITIVE = """\
{% test positive(model, column_name) %}
select sum({{ column_name }}) as total
from {{ model }}
having sum({{ column_name }}) <= 0
{% endtest %}
"""
SHARES_YML = """\
models:
  - name: shares
    columns:
      - name: half
        data_tests: [positive, not_null]
"""


def test_what_is_not_portable_is_found_at_its_line(tiny: Path) -> None:
    files = {
        "models/branches.sql": BRANCHES,
        "models/shares.sql": SHARES,
        "models/shares.yml": SHARES_YML,
        "macros/share.sql": SHARE,
        "tests/generic/positive.sql": POSITIVE,
    }
    for path, text in files.items():
        (tiny / path).parent.mkdir(parents=True, exist_ok=True)
        (tiny / path).write_text(text)
    code, output = portable(tiny)
    assert code == 1
    assert [tuple(line.split(": ")[:2]) for line in output.splitlines()] == [
        ("models/branches.sql:6", "correlated"),
        ("models/branches.sql:10", "correlated"),
        ("models/shares.sql:2", "divisor"),
        ("tests/generic/positive.sql:2", "float-sum"),
        ("tests/generic/positive.sql:4", "float-sum"),
    ]


def test_portable_models_pass_without_a_warehouse(tiny: Path) -> None:
    assert portable(tiny) == (0, "\n")


@pytest.mark.parametrize("sql", ["{{ no_such_macro() }}", "{{ run_query('select 1').columns[0] }}"])
def test_portability_of_a_model_that_does_not_compile_offline_fails(tiny: Path, sql: str) -> None:
    (tiny / "models" / "things.sql").write_text(f"select {sql}\n")
    code, output = portable(tiny)
    assert code != 0
    assert "no_such_macro" in output or "models/things.sql" in output
