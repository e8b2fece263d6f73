"""Files in a folder or in a bucket, by one seam.

==========================================  ===========================================================
``open_store(root, options, scratch)``      the store at a folder or an ``s3://`` address
``Store``                                   what every store does: put if absent, swap, list, checksums
==========================================  ===========================================================
"""

from feature_mart.storage.folder import FolderStore
from feature_mart.storage.opening import open_store
from feature_mart.storage.store import Entry, Headers, OccupiedError, Store

__all__ = ["Entry", "FolderStore", "Headers", "OccupiedError", "Store", "open_store"]
