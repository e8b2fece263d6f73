"""Check that models read only models of their own layer or of layers before it.

The layers are folders, in this order: staging, intermediate, features of an entity, features of a job, marts. A model
that has to read a later layer names each model of a later layer, or a pattern of names, in
``config.meta.reads_later_layer``, with the reason.
"""

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

#: The number of the layer of each folder of models. If several paths match, the longest one decides.
LAYERS = {
    "models/staging/": 0,
    "models/intermediate/": 1,
    "models/features/": 2,
    "models/features/job/": 3,
    "models/marts/": 4,
}
_KEY = "reads_later_layer"


def check_layers(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line for each model in no layer, each read of a later layer without a reason, and each unused reason.

    Args:
        document: dbt's manifest.json.
    """
    models = {
        key: node for key, node in document["nodes"].items() if node["resource_type"] == "model"
    }
    for node in models.values():
        path, name = node["original_file_path"], node["name"]
        layer = _layer(path)
        if layer is None:
            yield f"{path}: {name} is in no layer: move the model to one of {', '.join(LAYERS)}"
            continue
        parents = [models[key] for key in node["depends_on"]["nodes"] if key in models]
        later = {
            parent["name"]
            for parent in parents
            if (_layer(parent["original_file_path"]) or 0) > layer
        }
        reasons = (node["config"].get("meta") or {}).get(_KEY) or {}
        given = [pattern for pattern, reason in reasons.items() if str(reason or "").strip()]
        for parent in sorted(later):
            if not any(fnmatchcase(parent, pattern) for pattern in given):
                yield (
                    f"{path}: {name} reads {parent}, which is in a later layer: read an earlier model, or give the "
                    f"reason in config.meta.{_KEY}"
                )
        for pattern in reasons:
            if not any(fnmatchcase(parent, pattern) for parent in later):
                yield f"{path}: {name} reads no later model {pattern}: remove {pattern} from config.meta.{_KEY}"


def _layer(path: str) -> int | None:
    found = [folder for folder in LAYERS if path.startswith(folder)]
    return LAYERS[max(found, key=len)] if found else None
