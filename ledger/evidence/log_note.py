"""A log's signed checkpoint under a policy: whose log it is, and whether one of its pinned keys signed it, alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.policy import PinnedLog, Policy
from ledger.log.checkpoint import Checkpoint
from ledger.log.note import NoteSignature, SignedNote, VerifierKey, verify_note, verify_sole_signature
from ledger.types import Bytes32

__all__ = ["LogNote", "check_log", "find_signer", "tell_old_key", "tell_shared_key"]


class LogNote:
    """A signed note, opened part by part."""

    def __init__(self, policy: Policy, raw: bytes) -> None:
        self._policy = policy
        self._raw = raw

    @cached_property
    def _note(self) -> SignedNote:
        return SignedNote.parse(self._raw)

    @cached_property
    def checkpoint(self) -> Checkpoint:
        """The checkpoint, whoever signed it. Raises: MalformedError."""
        return Checkpoint.parse(self._note.text)

    @property
    def key_ids(self) -> frozenset[bytes]:
        """The ids of the keys that signed, as the note says. Raises: MalformedError."""
        return frozenset(line.key_id for line in self._note.signatures)

    def verify_signature(self, log_id: Bytes32 | None) -> str:
        """Check that the log signed the checkpoint with a pinned key, alone; return who signed.

        ``log_id`` is the log in the contract's event, None where that can not be read.

        Raises:
            MalformedError: not a signed checkpoint, or another line than the one signature of the log.
            VerificationError: the signature is false, or the checkpoint is of another log than the event.
            UnavailableError: the policy does not know the log, or not this key of it.
        """
        checkpoint = self.checkpoint
        log = self._find_log(log_id)
        if len(self._note.signatures) != 1:
            raise MalformedError(
                f"surplus signatures: {len(self._note.signatures)} lines, where the log's alone belongs"
            )
        line = self._note.signatures[0]
        if log.origin != checkpoint.origin or line.name != log.origin:
            raise VerificationError(
                "the checkpoint is of another log, or signed by another", expected=log.origin, found=checkpoint.origin
            )
        key = next((key for key in log.keys if key.key_id == line.key_id), None)
        if key is None:
            self._refuse_renamed_key(log, line)
            raise UnavailableError(
                f"your policy knows no key {line.key_id.hex()} of the log {log.origin}: extend it with a node of your "
                "choice"
            )
        verify_sole_signature(self._note, key)
        return f"by {log.origin}+{key.key_id.hex()}, the key of operator {log.operator} that your policy pins"

    def _find_log(self, log_id: Bytes32 | None) -> PinnedLog:
        """The policy's log, by its id, or by origin where there is none or it is not known."""
        origin = self.checkpoint.origin
        log = None if log_id is None else self._policy.find_log(log_id)
        log = log or next((each for each in self._policy.logs if each.origin == origin), None)
        if log is None:
            raise UnavailableError(
                f"your policy does not know the log {origin!a}: extend it with a node of your choice"
            )
        return log

    def _refuse_renamed_key(self, log: PinnedLog, line: NoteSignature) -> None:
        """Raise MalformedError if the signature is a pinned key's under another key id than its own.

        One base64 character holds the key id's last two bits and the signature's first four: where it was changed, so
        were both, and each value of the four is tried.
        """
        first, rest = line.signature[0], line.signature[1:]
        likely = [bytes([high << 4 | first & 0x0F]) + rest for high in range(16)]
        for key in log.keys:
            lines = [NoteSignature(key.name, key.key_id, signature) for signature in likely]
            if any(_is_signed(SignedNote(self._note.text, (each,)), key) for each in lines):
                raise MalformedError(f"the signature of {key.key_id.hex()} stands under the key id {line.key_id.hex()}")


def check_log(policy: Policy, log_id: Bytes32, note: LogNote) -> None:
    """Check that the contract's event is of the log that signed the checkpoint.

    A log that the policy does not know at all is left to the check of the signature; that another operator's has the
    same origin says nothing of it.

    Raises:
        MalformedError: not a signed checkpoint.
        VerificationError: the policy knows the log whose key signed, under another id.
    """
    origin = note.checkpoint.origin
    if policy.find_log(log_id) is None:
        logs = [each for each in policy.logs if each.origin == origin]
        candidates = [each for each in logs if note.key_ids & {key.key_id for key in each.keys}]
        if candidates:
            raise VerificationError(
                f"the contract recorded the checkpoint for another log than {origin}",
                expected=" or ".join(str(each.id) for each in candidates),
                found=str(log_id),
            )


def find_signer(policy: Policy, notes: Sequence[bytes]) -> PinnedLog:
    """The policy's log that signed all the notes; an origin alone may be that of several operators' logs.

    Where one log alone has the origin it is that one, whoever signed.

    Raises:
        MalformedError: a note is none, or the first is no checkpoint.
        VerificationError: the policy names no log of its origin.
        UnavailableError: several logs have the origin, and none of them, or more than one, signed all the notes.
    """
    origin = Checkpoint.parse(SignedNote.parse(notes[0]).text).origin
    logs = [each for each in policy.logs if each.origin == origin]
    if not logs:
        raise VerificationError(f"the policy names no log {origin}")
    signers = logs if len(logs) == 1 else _find_signers(logs, notes)
    if len(signers) != 1:
        operators = ", ".join(str(each.operator) for each in signers or logs)
        words = "more than one of them has the key" if signers else f"none of them signed {_count(notes)}"
        raise UnavailableError(
            f"which log is meant can not be told: your policy names {len(logs)} logs {origin}, and {words} "
            f"(operators {operators})"
        )
    return signers[0]


def tell_old_key(key_ids: Iterable[bytes], keys: Sequence[VerifierKey]) -> str | None:
    """Why notes under these keys do not show what the log did; None: the newest of its keys signed them all.

    ``keys`` are the log's, the oldest first. Nothing in a policy says until when an older one served, and whoever got
    hold of it since can sign what the log never did.
    """
    old = sorted(set(key_ids) - {keys[-1].key_id})
    if not old:
        return None
    return (
        f"{' and '.join(each.hex() for each in old)} signed, an older key of the log than {keys[-1].key_id.hex()}: "
        "nothing shows that it was still the log's at that time, and not somebody else's since"
    )


def tell_shared_key(key_ids: Iterable[bytes], log: PinnedLog, policy: Policy) -> str | None:
    """Why notes under these keys do not show what this log did; None: no other log of the policy has them.

    A note names origin and key, never the log. A contract of before gave a key to whoever claimed it, and a policy made
    before that was known pins it for each.
    """
    signed = {key for key in log.keys if key.key_id in set(key_ids)}
    sharing = [str(each.operator) for each in policy.logs if each != log and signed & set(each.keys)]
    if not sharing:
        return None
    return (
        f"your policy pins the key that signed for the log {log.origin} of operator {' and of '.join(sharing)} too: "
        "make it anew with a node of your choice, which leaves out those that had the key later"
    )


def _find_signers(logs: Sequence[PinnedLog], notes: Sequence[bytes]) -> list[PinnedLog]:
    """The logs whose key every note names; where those are several (a key's id is short), the ones that did sign."""
    signed = [SignedNote.parse(note) for note in notes]
    ids = [{line.key_id for line in note.signatures} for note in signed]
    named = [log for log in logs if all({key.key_id for key in log.keys} & each for each in ids)]
    if len(named) < 2:
        return named
    return [log for log in named if all(any(_is_signed(note, key) for key in log.keys) for note in signed)]


def _count(notes: Sequence[bytes]) -> str:
    return "this checkpoint" if len(notes) == 1 else f"all {len(notes)} checkpoints"


def _is_signed(note: SignedNote, key: VerifierKey) -> bool:
    try:
        verify_note(note, key)
    except VerificationError:
        return False
    return True
