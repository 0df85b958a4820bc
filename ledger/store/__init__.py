"""The store: everything that the service keeps in SQL, behind one door.

``Store.open(url, consortium)`` brings the schema up to date and gives one repository for each room. Every method is one
transaction; ``with store.transaction():`` makes several calls of the same thread one, ``with store.snapshot():`` lets
several reads see the same moment. All of it is thread-safe. What comes back are the frozen rows of
``ledger.store.rows``.
"""

from ledger.store.store import Consortium, Store

__all__ = ["Consortium", "Store"]
