"""Founded homes: a consortium is founded once for each plan, whichever worker asks first, and copied from then on."""

from __future__ import annotations

import hashlib
import pickle
import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import cast

from ledger.exchange import Founded, FoundingPlan, found
from tests.support.measuring import unmeasured
from tests.support.run_folder import in_run_folder

__all__ = ["found_once"]


def found_once(home: Path, plan: FoundingPlan) -> Founded:
    """What `found` makes in ``home``, on a chain of its own: a copy of what the same plan made before.

    Copies have the same chain id, keys and API keys: who needs two consortia calls `found`.
    """
    if plan.chain is not None or plan.database_url is not None or plan.owners_folder is not None:
        raise ValueError("what lies outside the home is not copied: call `found`")
    home.parent.mkdir(parents=True, exist_ok=True)
    with in_run_folder(f"founded/{_name(plan)}") as folder:
        original = folder / "home"
        founded = _found_or_load(original, folder / "founded", plan)
        shutil.copytree(original, home)
    key_files = {name: home / path.relative_to(original) for name, path in founded.key_files.items()}
    return replace(founded, key_files=key_files)


def _found_or_load(home: Path, kept: Path, plan: FoundingPlan) -> Founded:
    if kept.exists():
        return cast("Founded", pickle.loads(kept.read_bytes()))
    with unmeasured():
        founded = found(home, plan)
    kept.write_bytes(pickle.dumps(founded))
    return founded


def _name(plan: FoundingPlan) -> str:
    told = repr([(each.name, getattr(plan, each.name)) for each in fields(plan)])
    return hashlib.sha256(told.encode()).hexdigest()
