"""Test that the text that a plant replaces occurs exactly once; otherwise, the audit of a plant proves nothing."""

from __future__ import annotations

import pytest

from plants import PROJECT, Plant, read_plants

ALL = [plant for name in ("leaks", "leaks_of_the_author", "cleans") for plant in read_plants(name)]


@pytest.mark.parametrize("plant", ALL, ids=lambda plant: plant.name)
def test_the_text_that_a_plant_replaces_stands_once(plant: Plant) -> None:
    for patch in plant.patches:
        text = (PROJECT / patch.file).read_text(encoding="utf-8")
        assert text.count(patch.find) == 1, f"{plant.name}: {patch.file}"
