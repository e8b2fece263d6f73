"""Store files in a folder or a bucket, behind one interface.

==========================================  ===========================================================
``open_store(root, options, scratch)``      open the store at a folder or an ``s3://`` address
``Store``                                   the interface: put if absent, swap, list, checksums
==========================================  ===========================================================
"""

from feature_mart.storage.folder import FolderStore
from feature_mart.storage.opening import open_store
from feature_mart.storage.store import Entry, Headers, OccupiedError, Store

__all__ = ["Entry", "FolderStore", "Headers", "OccupiedError", "Store", "open_store"]
