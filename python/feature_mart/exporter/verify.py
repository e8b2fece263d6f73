"""Reading a snapshot again: is it what its manifest says, and may it be trained on?"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from feature_mart.errors import TerminalError
from feature_mart.exporter.content import content_hash, row_hash_sql, snapshot_id, word_sums_sql
from feature_mart.exporter.splits import SPLITS
from feature_mart.snapshot_files import (
    KEY_COLUMNS,
    MANIFEST,
    SCHEMA,
    SUCCESS,
    decode_document,
    parse_instant,
    sha256_file,
    snapshot_folder,
    split_manifest,
)

_DUCKDB_KEYS = [
    (name, "VARCHAR" if kind == "string" else "TIMESTAMP WITH TIME ZONE")
    for name, kind in KEY_COLUMNS.items()
]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: the file (or split) it is about, and what."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """`ok` when there is no problem. `id` is None when the manifest could not be read."""

    address: str
    id: str | None
    parts: int
    rows: int
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems


def verify_snapshot(address: str | Path) -> Verdict:
    """Re-read a snapshot and compare everything with its manifest.

    Checked: the commit; manifest.json and schema.json; the id; each part's bytes, SHA-256, columns,
        types and rows; the label in column 0; data and keys row for row, by the content hash
        recomputed from both; every `requested_at` inside its split; the purge rule; no value but
        finite ones and NULL; no foreign file in the data and key folders; SageMaker's lists of
        parts.

    Raises:
        UsageError: there is no such folder.
    """
    folder = snapshot_folder(address)
    problems: list[Problem] = []
    try:
        manifest = _committed(folder)
        schema = decode_document(_bytes(folder, SCHEMA), "schema", SCHEMA)
    except TerminalError as error:
        return Verdict(str(folder), None, 0, 0, (Problem("_meta", str(error)),))
    problems += _check_identity(folder, manifest, schema)
    problems += _check_files(folder, manifest)
    bad = list(_check_parts(folder, manifest))
    problems += bad
    named = {problem.where for problem in bad}
    for index, split in enumerate(manifest["splits"]):
        paths = [
            part["path"]
            for part in manifest["parts"]
            if part["path"].split("/")[1] == split["name"]
        ]
        # Where a part is bad already, its split's content says nothing new.
        if not named.intersection(paths):
            problems += _check_split(folder, manifest, index)
    rows = sum(split["rows"] for split in manifest["splits"])
    return Verdict(str(folder), manifest["id"], len(manifest["parts"]), rows, tuple(problems))


def _bytes(folder: Path, name: str) -> bytes:
    with suppress(FileNotFoundError):
        return (folder / name).read_bytes()
    why = "this snapshot was never committed" if name == SUCCESS else "the snapshot is damaged"
    raise TerminalError(f"{name} is missing: {why}.")


def _committed(folder: Path) -> dict[str, Any]:
    success = _bytes(folder, SUCCESS).decode(errors="replace").strip()
    data = _bytes(folder, MANIFEST)
    if hashlib.sha256(data).hexdigest() != success:
        raise TerminalError(
            f"{MANIFEST} is not the one that was committed: _SUCCESS names another SHA-256."
        )
    return decode_document(data, "snapshot_manifest", MANIFEST)


def _check_identity(
    folder: Path, manifest: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[Problem]:
    wanted = snapshot_id(parse_instant(manifest["as_of_at"]), schema, manifest["splits"])
    if manifest["id"] != wanted:
        yield Problem(
            MANIFEST, f"the id is {manifest['id']}, but schema, bounds and hashes make {wanted}"
        )
    if folder.resolve().name != manifest["id"]:
        yield Problem(
            MANIFEST,
            f"the id is {manifest['id']}, but the folder is called {folder.resolve().name}",
        )
    if schema["columns"] != manifest["columns"]:
        yield Problem(SCHEMA, "its columns are not those of manifest.json")
    roles = [column["role"] for column in schema["columns"]]
    if (
        roles[0] != "label"
        or "label" in roles[1:]
        or schema["columns"][0]["name"] != schema["label"]
    ):
        yield Problem(SCHEMA, "the label is not the first column and the only one")
    if {key["name"]: key["type"] for key in schema["keys"]} != KEY_COLUMNS:
        yield Problem(SCHEMA, f"the keys are not {', '.join(KEY_COLUMNS)}")
    if tuple(split["name"] for split in manifest["splits"]) != SPLITS:
        yield Problem(MANIFEST, f"the splits are not {', '.join(SPLITS)} in this order")


def _check_files(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    wanted = {part["path"] for part in manifest["parts"]}
    for kind in ("data", "keys"):
        for path in sorted((folder / kind).rglob("*")):
            name = path.relative_to(folder).as_posix()
            is_split = path.is_dir() and name.split("/")[1:] in [[split] for split in SPLITS]
            if name not in wanted and not is_split:
                yield Problem(name, "a foreign file: a training job would read it as data")
    for split in SPLITS:
        name = split_manifest(split)
        parts = [
            path.split("/")[-1] for path in sorted(wanted) if path.startswith(f"data/{split}/")
        ]
        try:
            prefix, *listed = json.loads((folder / name).read_bytes())
            if listed != parts or not prefix["prefix"].endswith(f"/data/{split}/"):
                yield Problem(name, f"it does not list the {len(parts)} parts of data/{split}/")
        except (OSError, ValueError, KeyError, TypeError):
            yield Problem(name, "it is missing, or no list of a prefix and parts")


def _check_parts(folder: Path, manifest: Mapping[str, Any]) -> Iterator[Problem]:
    data = [(column["name"], "FLOAT") for column in manifest["columns"]]
    rows = {part["path"]: part["rows"] for part in manifest["parts"]}
    for part in manifest["parts"]:
        path, file = part["path"], folder / part["path"]
        if not file.is_file():
            yield Problem(path, "the part is missing")
        elif file.stat().st_size != part["bytes"] or sha256_file(file) != part["sha256"]:
            yield Problem(
                path,
                "the part was changed: its bytes or their SHA-256 are not those of manifest.json",
            )
        else:
            yield from _check_part(file, part, data if path.startswith("data/") else _DUCKDB_KEYS)
        kind, rest = path.split("/", 1)
        partner = f"{'keys' if kind == 'data' else 'data'}/{rest}"
        if rows.get(partner) != part["rows"]:
            yield Problem(
                path, f"it has {part['rows']} rows, {partner} has {rows.get(partner, 'none')}"
            )


def _check_part(
    file: Path, part: Mapping[str, Any], columns: list[tuple[str, str]]
) -> Iterator[Problem]:
    try:
        with _connect() as con:
            found = con.execute("describe from read_parquet($1)", [str(file)]).fetchall()
            ((rows,),) = con.execute(
                "select count(*) from read_parquet($1)", [str(file)]
            ).fetchall()
    except duckdb.Error as error:
        yield Problem(part["path"], f"it cannot be read: {error}")
        return
    have = [(row[0], row[1]) for row in found]
    if have != columns:
        wrong = next(
            (pair for pair in zip(have, columns, strict=False) if pair[0] != pair[1]), None
        )
        what = (
            "other columns"
            if wrong is None
            else f"{wrong[0][0]} {wrong[0][1]} where {wrong[1][0]} {wrong[1][1]} belongs"
        )
        yield Problem(part["path"], f"its columns are not those of schema.json: {what}")
    if rows != part["rows"]:
        yield Problem(part["path"], f"it has {rows} rows, manifest.json says {part['rows']}")


def _check_split(folder: Path, manifest: Mapping[str, Any], index: int) -> Iterator[Problem]:
    split = manifest["splits"][index]
    columns = [column["name"] for column in manifest["columns"]]
    start, end = split["from"], split["to"]
    later = [each["from"] for each in manifest["splits"][index + 1 :] if each["from"] < each["to"]]
    until = None
    if later:
        until = parse_instant(later[0]) - timedelta(days=manifest["embargo_days"])
    sums, rows = [0, 0], 0
    finite = " or ".join(f'not isfinite("{name}")' for name in columns)
    for part in manifest["parts"]:
        path: str = part["path"]
        if not path.startswith(f"data/{split['name']}/"):
            continue
        keys = path.replace("data/", "keys/", 1)
        with _connect() as con:
            found = con.execute(
                f"select count(*), {word_sums_sql('row_hash')}, "
                "count(*) filter (where requested_at < $3::timestamptz or requested_at >= "
                "$4::timestamptz), "
                "count(*) filter (where label_known_at > $5::timestamptz), "
                f"count(*) filter (where {finite}) from (select *, {row_hash_sql(columns)} as "
                "row_hash "
                "from read_parquet($1) positional join read_parquet($2))",
                [
                    str(folder / path),
                    str(folder / keys),
                    start,
                    end,
                    None if until is None else until.isoformat(),
                ],
            ).fetchall()
        count, first, second, outside, late, unfit = found[0]
        sums, rows = [sums[0] + first, sums[1] + second], rows + count
        if outside:
            yield Problem(
                keys,
                f"{outside} rows have a requested_at outside of {split['name']}, {start} to {end}",
            )
        if late:
            yield Problem(
                keys,
                f"{late} rows had their label known only after the next split began; they must be "
                "purged",
            )
        if unfit:
            yield Problem(path, f"{unfit} rows hold NaN or an infinite value")
    if rows != split["rows"]:
        yield Problem(
            split["name"], f"its parts hold {rows} rows, manifest.json says {split['rows']}"
        )
    if content_hash(sums) != split["content_hash"]:
        yield Problem(
            split["name"],
            f"its content hash is {content_hash(sums)}, manifest.json says "
            f"{split['content_hash']}: values changed, or "
            "data and keys are not row for row",
        )


def _connect() -> duckdb.DuckDBPyConnection:
    con = duckdb.connect(config={"memory_limit": "2GB"})
    con.execute("set TimeZone = 'UTC'")
    return con
