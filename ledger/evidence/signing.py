"""Who signed a statement, and whether that key could act for the participant when the log took it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final, cast

from ledger.errors import MalformedError, UnavailableError, VerificationError
from ledger.evidence.anchoring import Effect
from ledger.evidence.events import CheckpointPublished
from ledger.evidence.history import History, KeySighting, Role
from ledger.statements import Custody, Statement, compute_participant_id, recover_signer, verify_signature
from ledger.types import Address, Bytes32

__all__ = ["Signing", "format_time"]

_SIGNATURE_SIZE: Final = 65
# A suspended participant may still do this.
_REVOCATIONS: Final = frozenset({"AccessRevocation", "KeyRevocation"})
# The key that signs stands in the statement itself: the participant's id is derived from it, or it is being claimed.
_SELF_PROVING: Final = {"ParticipantApplication": "controlKey", "ControlKeyClaim": "newKey"}
# By these a key ends its own power to act.
_SELF_ENDING: Final = frozenset({"ControlKeyRotation", "ParticipantRetirement"})
_LAST_SECOND: Final = int(datetime.max.replace(tzinfo=UTC).timestamp())


def format_time(seconds: int) -> str:
    """UTC seconds as RFC 3339: ``2026-11-21T09:30:00Z``."""
    if seconds > _LAST_SECOND:
        return f"second {seconds}"
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() + "Z"


@dataclass(frozen=True)
class Signing:
    """A statement with its signatures, the history it is judged by, and its effect where one is shown."""

    statement: Statement
    digest: Bytes32
    signature: bytes
    cosignature: bytes | None
    history: History
    effect: Effect | None

    @property
    def _role(self) -> Role:
        return Role(f"{self.statement.type.signed_by} key")

    @property
    def _own_key(self) -> Address | None:
        """The signing key where the statement itself carries it."""
        member = _SELF_PROVING.get(self.statement.type.name)
        return None if member is None else cast(Address, self.statement.message[member])

    @cached_property
    def signer(self) -> Address:
        """The key that signed.

        Raises:
            MalformedError: the signature is not canonical.
            VerificationError: it is no signature of the participant's key.
            UnavailableError: only a contract can say, and no effect is shown that stands.
        """
        if self.is_shown_by_effect:
            return self._contract_signer()
        recovered = self._recovered
        if self._own_key is not None and recovered != self._own_key:
            raise VerificationError(
                "the statement is not signed by the key that it names",
                expected=str(self._own_key),
                found=str(recovered),
            )
        return recovered

    @cached_property
    def is_shown_by_effect(self) -> bool:
        """Whether the bytes in the log show no signature of the participant, so that only a contract's event can.

        Anybody may have logged them, before there was a signature at all. Raises: MalformedError: not canonical.
        """
        if len(self.signature) != _SIGNATURE_SIZE:
            return True
        return self._own_key is None and not self._sight(self._recovered).ever

    @cached_property
    def _recovered(self) -> Address:
        return recover_signer(self.digest, self.signature)

    def verify_signatures(self) -> None:
        """Check signature and co-signature. Raises: MalformedError, VerificationError, UnavailableError."""
        signer = self.signer
        if self.statement.type.name == "ParticipantApplication":
            derived = compute_participant_id(signer, cast(Bytes32, self.statement.message["salt"]))
            if derived != self.statement.participant:
                raise VerificationError(
                    "the participant's id is not derived from control key and salt",
                    expected=str(derived),
                    found=str(self.statement.participant),
                )
        member = self.statement.type.cosigned_by
        if member is None:
            return
        if self.cosignature is not None:
            verify_signature(self.digest, self.cosignature, cast(Address, self.statement.message[member]))
        elif self.effect is None:
            raise MalformedError(f"the co-signature of the {member} is missing")
        elif not self.effect.stands:
            raise UnavailableError(
                f"the co-signature of the {member} is missing, and the effect that stands for it fails"
            )

    def verify_standing(self, published: CheckpointPublished) -> str:
        """Check that the key could act at this checkpoint; return what was found, in words.

        Active (Suspended is enough for a revocation) at the checkpoint: good. Only at some moment since the checkpoint
        before, or past the deadline: open, unless the contract itself executed it in time. Never since: false.

        Raises:
            VerificationError: the key was not active at any moment since the checkpoint before.
            UnavailableError: it can not be told whether it was active, or in time, when the log took the statement.
        """
        if self.is_shown_by_effect:
            return self._verify_execution()
        doubts = self._find_doubts(published)
        if not doubts:
            return f"{self.describe()}, at the checkpoint of {format_time(published.time)}"
        settled = False if self.effect is None else self._is_settled_by(self.effect)
        if settled:
            return self._describe_execution(cast(Effect, self.effect))
        if settled is None:
            doubts.append(
                "the effect's event names no signer, and whether that key could act just before it the history does "
                "not say"
            )
        elif self._own_key is None and not self._sight(self.signer, published.previous_time).since:
            raise VerificationError(
                f"{self.signer} could not act for participant {self.statement.participant} at any moment since "
                f"{format_time(published.previous_time)}, when the checkpoint before was recorded",
                expected=f"an active {self._role.value} of an active participant",
                found=self._describe_standing(),
            )
        raise UnavailableError("; ".join(doubts))

    def find_time(self, published: CheckpointPublished) -> int:
        """No later than when the participant stated it, where its key could act.

        The checkpoint's time, where the log's entry shows its signature and its key could act then. What only the
        contract's event shows, who signed or that the key could act, is shown for the event's block alone.
        """
        if self.effect is None or not self.effect.stands:
            return published.time
        executed = self.effect.describe().time
        if self.is_shown_by_effect:
            return executed
        return max(published.time, executed) if self._find_doubts(published) else published.time

    def describe_signature(self) -> str:
        """Whose signature it is, and whether that was checked here or by a contract alone."""
        if not self.is_shown_by_effect:
            return f"by {self.signer}"
        return f"by {self.signer} on the word of the contract's event; these bytes show it to nobody (ERC-1271)"

    def describe(self) -> str:
        """The key in words: whose it is and who holds it, and where the contract's event alone says so."""
        if self.is_shown_by_effect:
            return f"{self._describe_key()}, as the contract's event says (the bytes in the log do not show it)"
        return self._describe_key()

    def _describe_key(self) -> str:
        if self._own_key is not None:
            return f"the key {self.signer} that the statement itself names"
        if self._role is Role.CONTROL:
            return f"its control key {self.signer}"
        history = self.effect.history if self.effect is not None and self.is_shown_by_effect else self.history
        custodial = self._sight(self.signer, history=history).custody is Custody.CUSTODIAL
        return f"the key {self.signer} that a gateway holds for it" if custodial else f"its own key {self.signer}"

    def _find_doubts(self, published: CheckpointPublished) -> list[str]:
        doubts = []
        sighting = self._sight(self.signer, published.previous_time)
        if self._own_key is None and not sighting.at_end:
            when = "only at some moment" if sighting.since else "at no moment"
            doubts.append(
                f"{self.signer} could act {when} since the checkpoint before "
                f"({format_time(published.previous_time)}), not at this one ({format_time(published.time)}); whether "
                "the log took the statement in time can not be told"
            )
        if self.statement.deadline < published.time:
            doubts.append(
                f"the deadline {format_time(self.statement.deadline)} passed before the checkpoint of "
                f"{format_time(published.time)}; whether the log took the statement in time can not be told"
            )
        return doubts

    def _sight(self, key: Address, since: int = 0, history: History | None = None) -> KeySighting:
        judged = self.history if history is None else history
        may_be_suspended = self.statement.type.name in _REVOCATIONS
        participant = self.statement.participant
        return judged.sight(participant, key, self._role, since=since, may_be_suspended=may_be_suspended)

    def _describe_standing(self) -> str:
        sighting = self._sight(self.signer)
        return f"participant {sighting.standing.value}, key " + ("active" if sighting.serves else "not active")

    def _is_settled_by(self, effect: Effect) -> bool | None:
        """Whether the effect shows this signer active and the deadline not passed; None: it can not be told.

        An event that names no signer vouches for no key: another one may have signed for the contract. That of the
        log's entry is judged by the history instead, just before the event.
        """
        if not (effect.stands and effect.is_in_time(self.statement.deadline)):
            return False
        if self._is_named_by(effect):
            return effect.signer in {None, self.signer}
        if not effect.is_covered:
            return None
        before = self._sight(self.signer, history=effect.history_before).at_end
        after = self._sight(self.signer, history=effect.history).at_end
        if before and (after or self._is_ended_by(effect)):
            return True
        return None if before or after else False

    def _is_named_by(self, effect: Effect) -> bool:
        """Whether the contract's word names the key that it checked: the event does, or the statement itself."""
        return effect.signer is not None or self._own_key is not None

    def _is_ended_by(self, effect: Effect) -> bool:
        """Whether it is the statement itself that ends the key's power in its effect's block, and nothing else."""
        count = len(effect.history_before.records)
        changes = [each for each in effect.history.records[count:] if each.participant == self.statement.participant]
        return self.statement.type.name in _SELF_ENDING and len(changes) == 1

    def _verify_execution(self) -> str:
        """Check the key that the effect's event names, which the contract found active. Raises: UnavailableError."""
        effect, deadline = cast(Effect, self.effect), self.statement.deadline
        if effect.is_in_time(deadline):
            return self._describe_execution(effect)
        executed = effect.describe()
        raise UnavailableError(
            f"the deadline {format_time(deadline)} passed before block {executed.block} of "
            f"{format_time(executed.time)}, where the contract found out who signed; whether that was in time can not "
            "be told"
        )

    def _describe_execution(self, effect: Effect) -> str:
        block = effect.describe().block
        if not self._is_named_by(effect):
            return f"{self.describe()}; it could act just before block {block}, where this was executed in time"
        return f"{self.describe()}; the contract found it active and in time itself in block {block}"

    def _contract_signer(self) -> Address:
        """The key that the effect's event names: an ERC-1271 contract's, whose own bytes show it to nobody."""
        is_key = len(self.signature) == _SIGNATURE_SIZE
        signer = self.effect.signer if self.effect is not None and self.effect.stands else None
        if is_key and signer is None:
            raise VerificationError(
                f"the signature is not one of participant {self.statement.participant}",
                expected=f"a {self._role.value} of it in the history",
                found=str(self._recovered),
            )
        reason = "the signature is not one of secp256k1"
        if self.effect is None or not self.effect.stands:
            raise UnavailableError(
                f"{reason}: only a contract event can show who signed, and none is shown that stands"
            )
        if signer is None:
            raise UnavailableError(f"{reason}, and the contract's event does not say who signed")
        self._expect_known(signer, self.effect)
        return signer

    def _expect_known(self, signer: Address, effect: Effect) -> None:
        if self._sight(signer, history=effect.history).ever:
            return
        if not effect.is_covered:
            raise UnavailableError(
                f"the history that is given ends before block {effect.chain.header.number}, and {signer}, whom the "
                "contract's event there names, is not in it: ask for the evidence with a newer checkpoint"
            )
        raise VerificationError(
            "the contract's event names a signer that the history does not know",
            expected=f"a {self._role.value} of {self.statement.participant}",
            found=str(signer),
        )
