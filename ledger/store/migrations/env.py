"""Alembic's entry: runs on the connection that ``ledger.store.migrating`` gives, in its transaction."""

from __future__ import annotations

from alembic import context

from ledger.store.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
