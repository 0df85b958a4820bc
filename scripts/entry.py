"""Where the installed `concord` begins: it is there also where only the verifier was installed, and then says so."""

from __future__ import annotations

import sys

__all__ = ["concord"]


def concord() -> None:
    """Run `concord`; without the service's packages, name the command that brings them."""
    try:
        from scripts.concord import main  # noqa: PLC0415 - what may be missing is imported here
    except ModuleNotFoundError as error:
        print(
            f"concord: {error.name} is not installed. This is the verifier alone (concord-verify); the rest comes "
            "with pip install '.[service]'",
            file=sys.stderr,
        )
        sys.exit(3)
    except KeyboardInterrupt:  # while modules load
        print("concord: stopped", file=sys.stderr)
        sys.exit(130)
    main()
