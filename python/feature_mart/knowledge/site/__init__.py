"""Build, serve and publish the documentation site: dbt's page, with reasons, evidence, drawings and a catalogue added.

``profiles`` measures columns for ``plots``, and ``facts`` collects what is known about consumers. From these, ``pages``
and ``catalogue`` write Markdown, which ``enrich`` adds to dbt's manifest. ``build`` writes the site's folder; ``serve``
and ``publish`` make the site available.
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
