"""Load the two dbt Python models of a posting's text as modules, and read the seed `text_words`."""

from __future__ import annotations

import csv
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def load_model(path: str) -> ModuleType:
    """Return the file of a dbt Python model as a module, although the file is in no package."""
    name = f"model_{Path(path).stem}"
    spec = importlib.util.spec_from_file_location(name, ROOT / "models" / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # A dataclass looks up its module here while it is created.
    spec.loader.exec_module(module)
    return module


TERMS = load_model("intermediate/job/int_job__terms/int_job__terms.py")
TEXT = load_model("features/job/feat_job__text/feat_job__text.py")


def read_seed_words() -> list[tuple[str, str]]:
    """Return (word_group, word) of each row of `seeds/text_words.csv`."""
    with (ROOT / "seeds" / "text_words.csv").open(encoding="utf-8", newline="") as lines:
        return [(row["word_group"], row["word"]) for row in csv.DictReader(lines)]
