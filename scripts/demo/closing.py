"""How the demo ends: what was shown, how to check it by hand, five cheats, and what it does not prove."""

from __future__ import annotations

import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from scripts.demo.derivation import RESULT_NAME

__all__ = ["CHEATS", "Cheat", "Ending", "format_closing", "path_of_program"]


@dataclass(frozen=True)
class Cheat:
    """A lie to try: ``command`` tells it in a copy, ``step`` of the verifier catches it.

    In the command E is the evidence file, O another one, C the cheated copy, D a copy of the data.
    """

    what: str
    command: str
    step: int
    catch: str
    is_about_data: bool = False


_PROOF: Final = r'\("index":"[0-9]*","proof":\["\)'

CHEATS: Final = (
    Cheat(
        "Say another version in the statement",
        """sed 's/"version":"[0-9]*"},"type"/"version":"9"},"type"/' $E > $C""",
        3,
        "the signature is over other words",
    ),
    Cheat(
        "Take the signature of another statement",
        """sed "s/\\"signature\\":\\"0x[0-9a-f]*/$(grep -o '"signature":"0x[0-9a-f]*' $O)/" $E > $C""",
        5,
        "the entry in the log commits to the signature",
    ),
    Cheat(
        "Change a hash of the inclusion proof",
        f"""sed -e 's/{_PROOF}A/\\1B/' -e t -e 's/{_PROOF}./\\1A/' $E > $C""",
        5,
        "it leads to another root",
    ),
    Cheat(
        "Leave out a record of the history of keys, as if it had been a revocation",
        """sed 's/"history":\\[{[^{}]*},/"history":[/' $E > $C""",
        10,
        "the rest folds to another head",
    ),
    Cheat(
        "Add a line to the data",
        f"""rm -rf $D && cp -r $S $D && echo >> $D/{RESULT_NAME}""",
        11,
        "file and chunk are named",
        is_about_data=True,
    ),
)

_CLOSING: Final = """
What was shown
  Three enterprises that do not trust each other shared data and capacity. Each signed with its own
  key what it said; contracts decided what came in force; the log keeps every statement; and an
  auditor checked all of it from files, with the service stopped: who said what, no later than when,
  about which bytes, and who was allowed to have them.

Verify again by hand
  {verify} {folder}/evidence/*.json \\
    --policy {folder}/policy.json --data {folder}/data

Five cheats to try by hand, and the step that catches each. First, once:
  E={evidence}
  O={other}
  S={data} C={folder}/cheat.json D={folder}/cheat
  V() {{ {verify} \\
    $1 --policy {folder}/policy.json --data $2; }}
{cheats}
{limits}
Next: `make serve`
"""

_LIMITS_OF_PINS: Final = """\
What one operator's embedded chain does not prove
  That the operator did not found the consortium anew with another past: until several validators
  seal the blocks, the verdict rests on the block hashes that your policy pins. Make it early with a
  node of your choice, compare its SHA-256 with two members over another channel, keep it. And no
  ledger shows that what was said is true.
"""

_LIMITS_OF_SEALS: Final = """\
What a network of {validators} validators does not prove
  That {quorum} of them, or whoever has their keys, did not seal another past: the verdict rests on
  the validators that your policy pins. Make it with a node of your choice, compare its SHA-256 with
  two members over another channel, keep it. And no ledger shows that what was said is true.
"""


@dataclass(frozen=True)
class Ending:
    """What the closing words speak of: files, and how many validators the policy pins (0: blocks have no seals)."""

    folder: Path
    evidence: Path
    other: Path
    data: Path
    validators: int = 0


def path_of_program(path: Path) -> str:
    """A path as one would type it from here."""
    here = os.path.relpath(path)
    return shlex.quote(str(path) if here.startswith("..") else here)


def format_closing(ending: Ending) -> str:
    """The last words, with commands that can be pasted."""
    verifier = Path(__file__).resolve().parent.parent / "verify_provenance.py"
    return _CLOSING.format(
        verify=f"{path_of_program(Path(sys.executable))} {path_of_program(verifier)}",
        folder=ending.folder,
        evidence=ending.evidence,
        other=ending.other,
        data=ending.data,
        cheats="".join(_format_cheat(number, cheat) for number, cheat in enumerate(CHEATS, 1)),
        limits=_format_limits(ending.validators),
    )


def _format_limits(validators: int) -> str:
    if not validators:
        return _LIMITS_OF_PINS
    return _LIMITS_OF_SEALS.format(validators=validators, quorum=-(-2 * validators // 3))


def _format_cheat(number: int, cheat: Cheat) -> str:
    check = "V $E $D" if cheat.is_about_data else "V $C $S"
    return f"  {number}. {cheat.what}: step {cheat.step}, {cheat.catch}\n     {cheat.command}; {check}\n"
