"""sqlfluff over dbt's rendering: both dialects are really parsed, and neither needs a warehouse."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]

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
    """A dbt project of two models under the house configuration."""
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


def lint(project: Path, dialect: str) -> tuple[int, str]:
    # No credentials, and no way out: a model that asked BigQuery anything would fail.
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project),
        "https_proxy": "http://[::1]:9",
    }
    done = subprocess.run(
        [sys.executable, "-m", "house_rules.sqlfluff", "lint", dialect],
        check=False,
        cwd=project,
        env=environment | {"PYTHONPATH": str(PROJECT / "python")},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("dialect", ["duckdb", "bigquery"])
def test_clean_models_pass_without_a_warehouse(tiny: Path, dialect: str) -> None:
    assert lint(tiny, dialect) == (0, "\n")


@pytest.mark.parametrize(
    ("sql", "understood", "refused"),
    [
        ("select 7 // 2 as half\n", "duckdb", "bigquery"),
        ("select as struct 1 as thing\n", "bigquery", "duckdb"),
    ],
)
def test_what_one_engine_alone_can_parse_fails_for_the_other(
    tiny: Path, sql: str, understood: str, refused: str
) -> None:
    (tiny / "models" / "things.sql").write_text(sql)
    assert lint(tiny, understood)[0] == 0
    code, output = lint(tiny, refused)
    assert code == 1
    assert "models/things.sql:1:" in output
    assert "PRS" in output


def test_the_full_build_and_the_later_run_are_both_read(tiny: Path) -> None:
    model = "{{ config(materialized='incremental') }}\nselect 1 as thing_id\n"
    full, later = "{% if not is_incremental() %}", "{% if is_incremental() %}"
    for branch, dialect in ((full, "duckdb"), (later, "bigquery")):
        (tiny / "models" / "things.sql").write_text(
            f"{model}{branch}\nwhere where\n{{% endif %}}\n"
        )
        code, output = lint(tiny, dialect)
        assert code == 1
        assert "PRS" in output


def test_only_the_table_being_built_may_have_an_alias(tiny: Path) -> None:
    (tiny / "models" / "things.sql").write_text(ALIASED)
    assert lint(tiny, "bigquery") == (0, "\n")
    renamed = CLEAN.replace("from things", "from things as t").replace(
        "things.thing_id", "t.thing_id"
    )
    (tiny / "models" / "things.sql").write_text(renamed)
    assert "AL07" in lint(tiny, "bigquery")[1]


def test_style_is_judged_and_placed_in_the_file(tiny: Path) -> None:
    shouted = CLEAN.replace("select things.thing_id", "SELECT things.thing_id")
    (tiny / "models" / "things.sql").write_text(shouted)
    code, output = lint(tiny, "duckdb")
    assert code == 1
    assert "models/things.sql:9:5: CP01 capitalisation.keywords" in output


def test_a_model_that_does_not_compile_fails(tiny: Path) -> None:
    (tiny / "models" / "things.sql").write_text("select {{ no_such_macro() }}\n")
    code, output = lint(tiny, "bigquery")
    assert code != 0
    assert "no_such_macro" in output


def test_nothing_to_lint_is_a_failure(tiny: Path) -> None:
    shutil.rmtree(tiny / "models")
    code, output = lint(tiny, "duckdb")
    assert code != 0
    assert "no SQL file" in output
