"""Test the settings that options, environment variables and dbt vars give: paths, addresses and the clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import yaml

import rendered_macros
from compiled_mart import PROJECT
from feature_mart.core.dbt_vars import DEFAULTS, read_vars
from feature_mart.core.errors import UsageError
from feature_mart.core.settings import Clock, parse_as_of, require_embedded, resolve_settings
from toy_project import write_project

TOKYO = Clock()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def literal(instant: datetime) -> str:
    return f"timestamptz '{instant.isoformat()}'"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = write_project(tmp_path / "toy").resolve()
    monkeypatch.chdir(folder)
    return folder


def set_vars(project: Path, lines: str) -> None:
    path = project / "dbt_project.yml"
    path.write_text(path.read_text().replace("vars:\n", "vars:\n" + lines))


def drop_var(project: Path, name: str) -> None:
    path = project / "dbt_project.yml"
    kept = [line for line in path.read_text().splitlines() if not line.startswith(f"  {name}:")]
    path.write_text("\n".join(kept) + "\n")


def test_refresh_at_includes_the_instant_itself() -> None:
    refresh = at("2026-04-01T03:00:00+09:00")
    tick = timedelta(microseconds=1)
    assert TOKYO.refresh_at(refresh) == TOKYO.refresh_before(refresh) == refresh
    assert TOKYO.refresh_at(refresh + tick) == refresh + timedelta(days=1)
    assert TOKYO.refresh_before(refresh - tick) == refresh - timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "hour", "day"),
    [
        ("Asia/Tokyo", 3, "2026-04-01"),
        # On these days, the refresh hour occurs twice or never.
        ("Europe/London", 1, "2026-10-25"),
        ("America/New_York", 1, "2026-11-01"),
        ("America/New_York", 2, "2026-03-08"),
        ("America/Santiago", 0, "2026-09-06"),
        ("Australia/Lord_Howe", 2, "2026-10-04"),
    ],
)
def test_refreshes_are_those_of_the_models(
    zone: str, hour: int, day: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(zone, hour, 60)
    variables = {"business_timezone": zone, "refresh_hour": hour}
    monkeypatch.setattr(rendered_macros.yaml, "safe_load", lambda _: {"vars": variables})
    macros = rendered_macros.load_macros("duckdb")
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=2)
    for step in range(4 * 48):
        instant = start + timedelta(minutes=30 * step)
        refresh = clock.refresh_at(instant)
        # refresh_before must leave a refresh unchanged, because the as_of passed to dbt already is a refresh.
        asked = con.execute(
            f"select {macros['refresh_at'](literal(instant))}, "
            f"{macros['refresh_before'](literal(refresh))}, {macros['refresh_before'](literal(instant))}"
        ).fetchone()
        assert asked == (refresh, refresh, clock.refresh_before(instant)), instant
        assert clock.refresh_before(instant) <= instant <= refresh
        assert clock.refresh_before(refresh) == refresh


def test_as_of_takes_a_date_or_an_instant() -> None:
    assert parse_as_of("2026-04-01", TOKYO) == at("2026-03-31T18:00:00+00:00")
    assert parse_as_of("2026-04-01T02:59:59+09:00", TOKYO) == at("2026-03-30T18:00:00+00:00")
    assert parse_as_of("2026-03-31T18:00:00Z", TOKYO) == at("2026-03-31T18:00:00+00:00")


@pytest.mark.parametrize("text", ["2026-04-01T03:00:00", "2026-04-01 03:00", "soon", "2026-13-01"])
def test_as_of_without_an_offset_or_meaning_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="use a date like 2026-04-01"):
        parse_as_of(text, TOKYO)


def test_flag_wins_over_environment_over_default(project: Path, tmp_path: Path) -> None:
    environment = {"MART_DWH": str(tmp_path / "from_env"), "MART_HOME": str(tmp_path / "home")}
    by_flag = resolve_settings(dwh=str(tmp_path / "from_flag"), environment=environment)
    by_environment = resolve_settings(environment=environment)
    by_default = resolve_settings(environment={})
    assert by_flag.warehouse == "from_flag"
    assert by_environment.warehouse == "from_env"
    assert by_environment.mart_path == tmp_path / "home" / "from_env" / "mart.duckdb"
    assert (by_default.warehouse, by_default.is_sample) == ("sample", True)
    assert by_default.dwh == project / ".mart" / "sample" / "dwh"
    assert by_default.snapshots == str(project / ".mart" / "sample" / "snapshots")


def test_dbt_vars_win_over_the_default_clock(project: Path) -> None:
    for name in ("business_timezone", "refresh_hour", "publish_lag_minutes"):
        drop_var(project, name)
    assert resolve_settings(environment={}).clock == Clock()
    set_vars(project, "  business_timezone: Europe/Paris\n  refresh_hour: 4\n")
    set_vars(project, "  publish_lag_minutes: 30\n")
    assert resolve_settings(environment={}).clock == Clock("Europe/Paris", 4, 30)


def test_vars_under_the_project_name_win(project: Path) -> None:
    set_vars(project, "  toy:\n    refresh_hour: 5\n")
    assert resolve_settings(environment={}).clock.refresh_hour == 5


BAD_VARS = [
    ("business_timezone", "Asia/Tokio", "IANA"),
    ("business_timezone", "Asia", "IANA"),
    ("business_timezone", "9", "IANA"),
    ("business_timezone", "''", "IANA"),
    ("business_timezone", "../UTC", "IANA"),
    ("refresh_hour", "24", "0 to 23"),
    ("refresh_hour", "yes", "0 to 23"),
    ("refresh_hour", "3.5", "0 to 23"),
    ("publish_lag_minutes", "'60'", "minutes"),
    ("publish_lag_minutes", "-1", "minutes"),
    ("warehouse", "7", "load_clock"),
    ("overwritten_sources", "jobs", "list of raw tables"),
    ("overwritten_sources", "[job]", "list of raw tables"),
    ("overwritten_sources", "[Jobs]", "list of raw tables"),
    ("overwritten_sources", "", "list of raw tables"),
    ("snapshot_at", "'2024-01-01 00:00:00'", "with its UTC offset"),
    ("currency", "''", "currency code"),
    ("currency", "", "currency code"),
    ("currency", "NO", "currency code"),
    ("currency", '"J\'PY"', "currency code"),
    ("currency", "円", "currency code"),
    ("history_start", "'2024-01-01'", "with its UTC offset"),
    ("history_start", "2024-01-01", "in quotes"),
    ("history_start", "soon", "with its UTC offset"),
    ("price_label_lag_days", "-1", "whole number of days"),
    ("price_label_lag_days", "'7'", "whole number of days"),
    ("hire_label_lag_days", "1.5", "whole number of days"),
    ("hire_label_lag_days", "100000", "whole number of days"),
    ("term_prior_count", "-1", "whole number of observations"),
    ("term_prior_count", ".inf", "whole number of observations"),
    ("lift_prior_count", ".nan", "whole number of observations"),
    ("lift_prior_count", "many", "whole number of observations"),
    ("profile_days", "0", "from 1 to"),
    ("profile_rows", "0", "from 1 to"),
    ("share_days", "0", "from 1 to"),
]


@pytest.mark.parametrize(("name", "value", "said"), BAD_VARS)
def test_a_var_that_cannot_be_meant_is_refused(
    project: Path, name: str, value: str, said: str
) -> None:
    drop_var(project, name)
    set_vars(project, f"  {name}: {value}\n")
    with pytest.raises(UsageError, match=said) as refused:
        resolve_settings(environment={})
    message = str(refused.value)
    assert f"dbt var {name} in {project / 'dbt_project.yml'} is " in message
    assert "\n" not in message


def test_each_var_has_a_value_that_is_refused() -> None:
    assert {name for name, _, _ in BAD_VARS} == set(DEFAULTS) - {"as_of"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("business_timezone", "Pacific/Kiritimati"),
        ("business_timezone", "UTC"),
        ("refresh_hour", "0"),
        ("publish_lag_minutes", "0"),
        ("overwritten_sources", "[reviews, jobs, jobs]"),
        ("currency", "CADcents"),
        ("history_start", "'2024-01-01T00:00:00-05:00'"),
        ("history_start", "'2024-01-01 00:00:00Z'"),
        ("history_start", ""),
        ("term_prior_count", "0"),
        ("profile_days", "1"),
    ],
)
def test_a_var_at_another_value_is_taken(project: Path, name: str, value: str) -> None:
    drop_var(project, name)
    set_vars(project, f"  {name}: {value}\n")
    assert read_vars(project)[name] != DEFAULTS[name] or name == "history_start"


def test_the_defaults_are_those_of_the_project() -> None:
    variables = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
    assert variables == {**DEFAULTS, "overwritten_sources": []}


def test_a_misspelt_var_is_refused_and_one_that_a_model_reads_is_not(project: Path) -> None:
    set_vars(project, "  refresh_hours: 5\n")
    with pytest.raises(UsageError, match=r"refresh_hours .* did you mean refresh_hour\?"):
        resolve_settings(environment={})
    (project / "models" / "own.sql").write_text("select {{ var('refresh_hours') }} as hours\n")
    resolve_settings(environment={})


def test_a_package_has_vars_of_its_own(project: Path) -> None:
    set_vars(project, "  some_package:\n    depth: 3\n")
    resolve_settings(environment={})


def test_a_var_that_models_read_and_nobody_sets_is_named_with_its_line(project: Path) -> None:
    drop_var(project, "as_of")
    with pytest.raises(UsageError, match=r'as_of is not set .* add `as_of: ""`'):
        resolve_settings(environment={})


def test_vars_that_are_no_mapping_are_refused(project: Path) -> None:
    path = project / "dbt_project.yml"
    path.write_text("name: toy\nvars: [refresh_hour]\n")
    with pytest.raises(UsageError, match="one line per var"):
        resolve_settings(environment={})


def test_the_sample_named_by_its_folder_is_the_sample(project: Path) -> None:
    named = resolve_settings(dwh=".mart/sample/dwh", environment={})
    assert named.is_sample
    assert named.warehouse == "sample"


def test_an_unknown_target_is_refused(project: Path) -> None:
    with pytest.raises(UsageError, match="MART_TARGET"):
        resolve_settings(environment={"MART_TARGET": "snowflake"})
    with pytest.raises(UsageError, match="--target is 'snowflake'"):
        resolve_settings(target="snowflake", environment={})


ON_BIGQUERY = {
    "MART_TARGET": "bigquery_dev",
    "MART_GCP_PROJECT": "my-project",
    "MART_GCP_LOCATION": "northamerica-northeast2",
}


def test_a_given_target_wins_over_that_of_the_environment(project: Path) -> None:
    assert resolve_settings(target="duckdb", environment=ON_BIGQUERY).target == "duckdb"
    named = {name: value for name, value in ON_BIGQUERY.items() if name != "MART_TARGET"}
    assert resolve_settings(target="bigquery_dev", environment=named).target == "bigquery_dev"


def test_bigquery_needs_a_project_and_a_location_and_the_rest_has_defaults(project: Path) -> None:
    with pytest.raises(UsageError, match="MART_GCP_PROJECT is not set"):
        resolve_settings(environment={"MART_TARGET": "bigquery_dev"})
    without = {name: value for name, value in ON_BIGQUERY.items() if name != "MART_GCP_LOCATION"}
    with pytest.raises(UsageError, match=r"MART_GCP_LOCATION is not set: .* asia-northeast1, US"):
        resolve_settings(environment=without)
    settings = resolve_settings(environment=ON_BIGQUERY)
    assert settings.bigquery is not None
    assert settings.mart_address == "my-project.feature_mart_dev"
    assert (settings.warehouse_id, settings.warehouse) == ("my-project.dwh", "dwh")
    assert settings.state_dir.name == "my-project.feature_mart_dev"
    assert settings.bigquery.location == "northamerica-northeast2" and not settings.is_sample


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"MART_DWH": "path/to/folder"}, "MART_DWH is 'path/to/folder'"),
        ({"MART_DATASET": "with-hyphen"}, "MART_DATASET is 'with-hyphen'"),
        ({"MART_GCP_LOCATION": "the US"}, "MART_GCP_LOCATION is 'the US'"),
        ({"MART_BQ_MAX_BYTES": "much"}, "MART_BQ_MAX_BYTES is 'much'"),
        ({"MART_BQ_PRICE_PER_TIB": "-1"}, "MART_BQ_PRICE_PER_TIB is '-1'"),
    ],
)
def test_a_setting_of_bigquery_that_cannot_be_meant_is_named(
    project: Path, variables: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        resolve_settings(environment=ON_BIGQUERY | variables)


def test_the_raw_dataset_may_be_another_projects(project: Path) -> None:
    settings = resolve_settings(environment=ON_BIGQUERY | {"MART_DWH": "other-project.raw"})
    assert settings.warehouse_id == "other-project.raw" and settings.warehouse == "raw"


def test_what_needs_the_embedded_engine_says_so(project: Path) -> None:
    with pytest.raises(UsageError, match="unset MART_TARGET"):
        require_embedded(resolve_settings(environment=ON_BIGQUERY), "mart audit")
    require_embedded(resolve_settings(environment={}), "mart audit")


def test_the_package_finds_its_own_project_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (resolve_settings(environment={}).project / "models" / "exposures.yml").is_file()


def test_a_date_names_its_own_refresh_in_every_zone() -> None:
    clock = Clock("Pacific/Auckland", 3, 60)
    assert clock.refresh_of(date(2026, 4, 1)) == at("2026-03-31T14:00:00+00:00")


def test_s3_settings_come_from_the_environment(project: Path) -> None:
    given = {
        "MART_S3_ENDPOINT": "http://127.0.0.1:9000",
        "MART_S3_KMS_KEY": "alias/mart",
        "MART_S3_EXPECTED_OWNER": "123456789012",
        "MART_S3_TAGS": "team=ml&cost=mart",
        "MART_S3_ATTEMPTS": "2",
    }
    options = resolve_settings(environment=given).s3
    assert (options.endpoint, options.kms_key) == ("http://127.0.0.1:9000", "alias/mart")
    assert (options.expected_owner, options.tags) == ("123456789012", "team=ml&cost=mart")
    assert (options.encryption, options.attempts) == ("", 2)
    assert resolve_settings(environment={}).s3.attempts == 5


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MART_S3_ENDPOINT", "127.0.0.1:9000"),
        ("MART_S3_ENCRYPTION", "aes"),
        ("MART_S3_EXPECTED_OWNER", "me"),
        ("MART_S3_TAGS", "team"),
        ("MART_S3_ATTEMPTS", "0"),
    ],
)
def test_an_s3_setting_that_cannot_be_meant_is_refused(
    project: Path, name: str, value: str
) -> None:
    with pytest.raises(UsageError, match=f"{name} is '{value}': use"):
        resolve_settings(environment={name: value})


def test_a_key_and_an_encryption_without_keys_contradict_each_other(project: Path) -> None:
    given = {"MART_S3_KMS_KEY": "k", "MART_S3_ENCRYPTION": "AES256"}
    with pytest.raises(UsageError, match="unset one of them"):
        resolve_settings(environment=given)
