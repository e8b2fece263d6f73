"""No feature without its reason, and none that changed without it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from feature_mart.cli import main
from feature_mart.knowledge.meaning import changed_columns, column_meanings, read_macros

PROJECT = Path(__file__).resolve().parents[3]
SQL = """
{{ config(materialized='table') }}
-- Why it is so.
with requests as (

    select * from {{ ref('int_job__requests') }}

),

history as (

    select * from {{ ref('feat_client__history') }}

),

final as (

    select
        requests.job_id,
        {{ fixed_log('requests.budget_amount') }} / 1e6 as job_budget_log,
        history.contract_count + 1 as client_contract_count
    from requests
    left join history
        on requests.client_id = history.client_id
    where requests.is_whole

)

select * from final
"""
MACROS = {
    "macros/expressions/fixed_log.sql": (
        "{% macro fixed_log(x) %}cast(round(ln({{ to_double(x) }}) * 1e6) as bigint){% endmacro %}"
    ),
    "macros/dialect/to_double.sql": (
        "{% macro to_double(x) %}{{ return(adapter.dispatch('to_double')(x)) }}{% endmacro %}"
        "{% macro duckdb__to_double(x) %}cast({{ x }} as double){% endmacro %}"
    ),
}
NAMES = ("job_id", "job_budget_log", "client_contract_count")


def changed(after: str, macros: dict[str, str] | None = None) -> list[str]:
    both = [
        column_meanings(code, read_macros(given), is_python=False)
        for code, given in ((SQL, MACROS), (after, macros or MACROS))
    ]
    return changed_columns(both[0], both[1], NAMES)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("-- Why it is so.", "/* another reason */ {# and one for dbt #}"),
        ("    left join history\n        on", "    left join history on"),
        ("materialized='table'", "materialized='view', tags=['x']"),
        ("requests.job_id,", "requests.job_id,\n\n"),
        ("select * from final", "SELECT * FROM final"),
        ("{{ ref('int_job__requests') }}", "{{ref('int_job__requests')}}"),
        (
            "{{ fixed_log('requests.budget_amount') }}",
            "{{   fixed_log('requests.budget_amount')   }}",
        ),
    ],
)
def test_comments_layout_and_configuration_mean_nothing(old: str, new: str) -> None:
    assert old in SQL
    assert changed(SQL.replace(old, new)) == []


@pytest.mark.parametrize(
    ("old", "new", "columns"),
    [
        ("contract_count + 1", "contract_count + 2", ["client_contract_count"]),
        ("/ 1e6", "/ 1e5", ["job_budget_log"]),
        ("'requests.budget_amount'", "'requests.budget_high_amount'", ["job_budget_log"]),
        ("where requests.is_whole", "where true", list(NAMES)),
        ("left join history", "inner join history", list(NAMES)),
        ("ref('feat_client__history')", "ref('feat_client__other')", list(NAMES)),
        (
            "select * from {{ ref('int_job__requests') }}",
            "select * from {{ ref('int_job__requests') }} where job_id <> 'x'",
            list(NAMES),
        ),
    ],
)
def test_a_change_of_meaning_is_laid_to_the_columns_that_rest_on_it(
    old: str, new: str, columns: list[str]
) -> None:
    assert old in SQL
    assert changed(SQL.replace(old, new)) == columns


def test_a_macro_counts_for_the_columns_that_call_it_however_deep() -> None:
    deep = {name: text.replace("as double)", "as decimal)") for name, text in MACROS.items()}
    assert changed(SQL, deep) == ["job_budget_log"]
    comment = {
        name: "{# note #}" + text.replace("%}cast", "%}\n  cast") for name, text in MACROS.items()
    }
    assert changed(SQL, comment) == []


def test_where_sql_cannot_be_read_the_whole_model_counts() -> None:
    odd = SQL.replace("from requests\n", "from requests {% if x %} a {% else %} b {% endif %}\n")
    both = [column_meanings(code, {}, is_python=False) for code in (odd, odd.replace("+ 1", "+ 2"))]
    assert set(both[0]) == {"*"}
    assert changed_columns(both[0], both[1], NAMES) == list(NAMES)


def test_python_counts_without_docstrings_comments_and_layout() -> None:
    code = 'def f(x):\n    """Says."""\n    return x + 1  # so\n'
    for other, is_same in (
        ("def f(x):\n    return (x\n        + 1)\n", True),
        ("def f(x):\n    return x + 2\n", False),
    ):
        both = [column_meanings(each, {}, is_python=True) for each in (code, other)]
        assert (changed_columns(both[0], both[1], ["a"]) == []) is is_same


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This project's models and macros, committed once."""
    folder = tmp_path / "project"
    for name in ("models", "macros", "profiles", "analyses"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copytree(PROJECT / "docs" / "evidence", folder / "docs" / "evidence")
    shutil.copy(PROJECT / "dbt_project.yml", folder)
    for arguments in (
        ("init", "--quiet"),
        ("add", "."),
        (
            *("-c", "user.name=t", "-c", "user.email=t@example.com"),
            *("commit", "--quiet", "--message", "before"),
        ),
    ):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)
    monkeypatch.chdir(folder)
    return folder


def check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["knowledge", "check", *arguments])


def edit(project: Path, name: str, change: Callable[[str], str]) -> None:
    (path,) = project.glob(f"models/**/{name}")
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def test_this_project_is_whole_and_unchanged_against_itself(project: Path) -> None:
    done = check("--base", "HEAD")
    assert done.exit_code == 0, done.stdout
    assert done.stdout.startswith("every feature has its reasons\nnot judged by --base: int_")


def without_evidence(text: str) -> str:
    return text.split("## Evidence")[0] + "## Evidence\n{% enddocs %}\n"


def unmeasured(text: str) -> str:
    return text.replace("docs/evidence/", "").replace("not yet tested", "surely good")


POSTING = "feat_job__posting"
REASON = (
    "The client's own idea of the price: the strongest hint there is before anybody has offered."
)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        (f"{POSTING}.md", lambda t: t.replace("## Known traps", "## Traps"), "no heading '## Known traps'"),
        (f"{POSTING}.md", without_evidence, "nothing under '## Evidence'"),
        (f"{POSTING}.md", unmeasured, "Evidence cites none of what was"),
        (f"{POSTING}.md", lambda t: t.replace("n.sample.json", "n.other.json"), "n.other.json, which is not there"),
        (f"{POSTING}.yml", lambda t: t.replace(REASON, ""), "job_budget_log: no meta.why"),
        (f"{POSTING}.yml", lambda t: t.replace(REASON, "Improves the model."), "meta.why says nothing"),
        (f"{POSTING}.yml", lambda t: t.replace('unit: "log amount"', ""), "job_budget_log: no meta.unit"),
        (f"{POSTING}.yml", lambda t: t.replace('"request_sql"', '"sometimes"', 1), "meta.serve is 'sometimes'"),
        (f"{POSTING}.yml", lambda t: t.replace('added: "2026-11-23"', 'added: "lately"', 1), "meta.added is 'lately'"),
        (f"{POSTING}.yml", lambda t: t.replace("Characters of the title.", ""), "job_title_char_count: no description"),
        (f"{POSTING}.yml", lambda t: t.replace('role: "key"', 'role: "thing"', 1), "meta.role is 'thing'"),
        (f"{POSTING}.yml", lambda t: t.replace("    columns:", "    other:"), "no columns"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named_with_file_and_column(
    project: Path, name: str, change: Callable[[str], str], said: str
) -> None:
    edit(project, name, change)
    done = check()
    assert done.exit_code == 1
    assert said in done.stdout and f"{POSTING}/{name}" in done.stdout


def test_a_date_that_no_calendar_has_is_no_traceback(project: Path) -> None:
    edit(
        project,
        f"{POSTING}.yml",
        lambda t: t.replace('added: "2026-11-23"', "added: 2026-02-30", 1),
    )
    done = check()
    assert done.exit_code == 1 and "no columns" in done.stdout


@pytest.mark.parametrize("broken", ["{", "", "[]", '{"schema": 2}'])
def test_evidence_that_was_broken_is_named(project: Path, broken: str) -> None:
    path = project / "docs" / "evidence" / "price_estimation.sample.json"
    path.write_text(broken, encoding="utf-8")
    done = check()
    assert done.exit_code == 1 and "docs/evidence/price_estimation.sample.json" in done.stderr


def test_a_candidate_that_was_changed_or_not_told_of_is_named(project: Path) -> None:
    path = project / "analyses" / "rejected" / "budget_deciles.sql"
    path.write_text(path.read_text(encoding="utf-8") + "-- a comment\n", encoding="utf-8")
    assert check().exit_code == 0
    path.write_text(path.read_text(encoding="utf-8") + " limit 1", encoding="utf-8")
    assert "its SQL was changed since it was measured" in check().stdout
    (path.parent / "new.sql").write_text("select 1", encoding="utf-8")
    assert "new.sql: no entry in _rejected.yml" in check().stdout


def test_a_model_without_notes_is_named(project: Path) -> None:
    (path,) = project.glob(f"models/**/{POSTING}.md")
    path.unlink()
    assert "there is no such file: write it" in check().stdout


def halve(text: str) -> str:
    return text.replace("as job_budget_log", "/ 2 as job_budget_log")


def test_a_changed_expression_needs_a_changed_reason(project: Path) -> None:
    edit(project, f"{POSTING}.sql", halve)
    assert check().exit_code == 0, "without a base nothing is compared"
    done = check("--base", "HEAD")
    assert done.exit_code == 1
    (line,) = done.stdout.splitlines()
    assert "job_budget_log: it means something else than at HEAD" in line
    document = json.loads(check("--base", "HEAD", "--json").stdout)
    assert [each["column"] for each in document["missing"]] == ["job_budget_log"]


CHANGES = (
    (
        "fixed_log('coalesce(budget_max_amount, budget_min_amount)')",
        "fixed_log('budget_min_amount')",
    ),
    (
        "'coalesce(budget_max_amount, budget_min_amount)'",
        "'coalesce(budget_min_amount, budget_max_amount)'",
    ),
)


@pytest.mark.parametrize(("old", "new"), CHANGES)
def test_what_stands_in_a_macros_argument_counts(project: Path, old: str, new: str) -> None:
    edit(project, f"{POSTING}.sql", lambda text: text.replace(old, new))
    done = check("--base", "HEAD")
    assert done.exit_code == 1 and "job_budget_log: it means something else" in done.stdout


def test_a_macro_that_is_called_within_counts(project: Path) -> None:
    (path,) = project.glob("macros/**/fixed_log.sql")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("* 1e6", "* 1e5"), encoding="utf-8")
    done = check("--base", "HEAD")
    assert done.exit_code == 1 and "job_budget_log: it means something else" in done.stdout


def test_a_blank_line_is_no_reason(project: Path) -> None:
    edit(project, f"{POSTING}.sql", halve)
    edit(project, f"{POSTING}.md", lambda text: text + "\n\n")
    assert check("--base", "HEAD").exit_code == 1


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (f"{POSTING}.md", lambda t: t.replace("Logs for money", "Halved logs for money")),
        (f"{POSTING}.yml", lambda t: t.replace(REASON, f"{REASON} Halved.")),
        (f"{POSTING}.yml", lambda t: t.replace("so the log.", "so half the log.")),
    ],
)
def test_any_touched_reason_is_enough(
    project: Path, name: str, change: Callable[[str], str]
) -> None:
    edit(project, f"{POSTING}.sql", halve)
    edit(project, name, change)
    assert check("--base", "HEAD").exit_code == 0


def test_the_reason_of_another_column_is_not(project: Path) -> None:
    edit(project, f"{POSTING}.sql", halve)
    edit(
        project,
        f"{POSTING}.yml",
        lambda t: t.replace("A longer title states", "A long title states"),
    )
    assert check("--base", "HEAD").exit_code == 1


def test_a_comment_alone_needs_none(project: Path) -> None:
    edit(project, f"{POSTING}.sql", lambda t: t.replace("with ", "-- another word\nwith ", 1))
    assert check("--base", "HEAD").exit_code == 0


@pytest.mark.parametrize("base", ["no-such-branch", "--output=written"])
def test_a_base_that_is_not_there_is_wrong_usage(project: Path, base: str) -> None:
    done = check(f"--base={base}")
    assert done.exit_code == 2
    assert f"'{base}' is no commit to compare with" in done.stderr
    assert not (project / "written").exists()


def test_why_prints_reason_notes_users_and_candidates(project: Path) -> None:
    done = CliRunner().invoke(main, ["knowledge", "why", "job_budget_log"])
    assert done.exit_code == 0
    assert REASON in done.stdout
    assert "price_estimation (label price_log)" in done.stdout
    assert "Known traps" in done.stdout
    wrong = CliRunner().invoke(main, ["knowledge", "why", "job_budget_lug"])
    assert wrong.exit_code == 2 and "did you mean job_budget_log" in wrong.stderr
