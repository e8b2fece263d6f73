"""Test that the text to be replaced by a plant occurs exactly once, and that a file to be added does not exist yet.

Otherwise the plant may change the wrong code.
"""

from __future__ import annotations

import pytest

from plants import PROJECT, Plant, read_plants

FILES = ("leaks", "leaks_of_the_author", "cleans", "merged_leaks", "honest_changes")
ALL = [plant for name in FILES for plant in read_plants(name)]


@pytest.mark.parametrize("plant", ALL, ids=lambda plant: plant.name)
def test_the_text_that_a_plant_replaces_stands_once(plant: Plant) -> None:
    texts: dict[str, str] = {}
    for patch in plant.patches:
        path = PROJECT / patch.file
        if patch.find is None:
            assert not path.exists() and patch.file not in texts, f"{plant.name}: {patch.file}"
            continue
        text = texts.get(patch.file) or path.read_text(encoding="utf-8")
        assert text.count(patch.find) == 1, f"{plant.name}: {patch.file}"
        texts[patch.file] = text.replace(patch.find, patch.replace)
