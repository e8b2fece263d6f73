"""The documentation site: dbt's own page, with reasons, evidence, drawings and a catalogue added.

``profiles`` (statistics of columns) → ``plots``; ``facts`` → ``pages`` and ``catalogue`` (Markdown) → ``enrich`` (dbt's
manifest) → ``build`` (the folder) → ``serve`` and ``publish``.
"""

from feature_mart.knowledge.site.build import build_site
from feature_mart.knowledge.site.publish import Published, check_place, publish_site
from feature_mart.knowledge.site.serve import check_port, open_site, serve_docs, written_at

__all__ = [
    "Published",
    "build_site",
    "check_place",
    "check_port",
    "open_site",
    "publish_site",
    "serve_docs",
    "written_at",
]
