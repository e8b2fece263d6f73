"""Write all parts of a snapshot, two at a time, and pass them on for upload in order."""

from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from feature_mart.core.errors import TerminalError
from feature_mart.exporter.part_files import PartWriter
from feature_mart.exporter.plan import Plan
from feature_mart.exporter.staging import Room, Staging
from feature_mart.exporter.uploads import Uploads
from feature_mart.snapshot_files import part_path

#: Number of parts written at the same time; writing one part keeps about one core busy.
_AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class _Part:
    """A part to write.

    `number` counts the parts of the snapshot, `split` is the number of the split, and `index` counts the parts of the
    split, all from 0. `paths` has the paths in the snapshot, and `files` the paths on local disk; both have the data
    part first and the key part second.
    """

    number: int
    split: int
    index: int
    paths: tuple[str, str]
    files: tuple[Path, Path]


def write_parts(
    plan: Plan,
    staging: Staging,
    writer: PartWriter,
    uploads: Uploads,
    scratch: Path,
    step: Callable[[str], None],
) -> None:
    """Write each part, and upload it while later parts are written.

    Raises:
        TerminalError: two rows have the same key, or the number of rows written for a split is not the number counted.
    """
    written = [0] * len(plan.windows)
    waiting: deque[tuple[_Part, Future[int]]] = deque()

    rooms = SimpleQueue[Room]()
    for _ in range(_AT_ONCE):
        rooms.put(Room())

    def write(part: _Part) -> int:
        room = rooms.get()
        try:
            return writer.write(plan.layout, staging.take(part.number, room), *part.files, room)
        finally:
            rooms.put(room)

    def hand_on() -> None:
        part, writing = waiting.popleft()
        rows = writing.result()
        written[part.split] += rows
        for path, file in zip(part.paths, part.files, strict=True):
            step(f"put {path}")
            uploads.add(path, file, rows, is_first=part.index == 0)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for part in _list_parts(plan, scratch):
                window, parts = plan.windows[part.split], plan.part_counts[part.split]
                step(f"write {window.name} part {part.index + 1} of {parts}")
                waiting.append((part, pool.submit(write, part)))
                if len(waiting) > _AT_ONCE + 1:
                    hand_on()
            while waiting:
                hand_on()
        finally:
            pool.shutdown(cancel_futures=True)
    for window, measure, rows in zip(plan.windows, plan.measures, written, strict=True):
        if rows != measure.rows:
            raise TerminalError(
                f"{plan.layout.model}: {rows} rows were written for {window.name}, but {measure.rows} were counted. "
                "Export again."
            )


def _list_parts(plan: Plan, scratch: Path) -> list[_Part]:
    found: list[_Part] = []
    for split, (window, parts) in enumerate(zip(plan.windows, plan.part_counts, strict=True)):
        for index in range(parts):
            paths = (
                part_path("data", window.name, index, plan.layout.file_format),
                part_path("keys", window.name, index),
            )
            data, keys = (scratch / path.replace("/", "-") for path in paths)
            found.append(_Part(len(found), split, index, paths, (data, keys)))
    return found
