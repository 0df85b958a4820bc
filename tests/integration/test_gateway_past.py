"""What reached the chain past the gateway counts like the rest; what was said may be refused by the contract later."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from ledger.chain import ChainEdge, ChainSettings, LocalSigner, Refusal, encode_statement
from ledger.chain import SignedStatement as ExecutableStatement
from ledger.statements import Statement, generate_private_key
from tests.support.asking import Asking, asking, assert_problem, manifest_of, registration, soon
from tests.support.waiting import eventually

DATA: Final = b"plant,mwh\nA,1\n"
FILE: Final = "/v1/datasets/utility~power/versions/1/files/a.csv"


@dataclass
class Relay:
    """An account on the chain's allow list that sends other people's signed statements through ``/rpc``."""

    service: Asking
    signer: LocalSigner

    def send(self, who: str, type_name: str, message: dict[str, Any]) -> tuple[str, int, bool]:
        """Relay a statement signed by a member; the transaction's hash, its block, and whether it did not revert."""
        domains, key = self.service.world.domains, self.service.world.members[who].signing
        statement = Statement.parse(type_name, message)
        signed = ExecutableStatement(statement, key.address, key.sign(statement.digest(domains)))
        with self.edge() as edge:
            call = encode_statement(domains.contracts, signed)
            transaction = edge.sign_transaction(self.signer, call, edge.nonce(self.signer.address))
            assert edge.send([transaction]) == [None]
            receipt = edge.receipt(transaction.hash)
        assert receipt is not None
        eventually(lambda: self.service.get("none", "/v1/ready").json()["indexed"] >= receipt.block_number)
        return str(transaction.hash), receipt.block_number, receipt.is_successful

    def edge(self) -> ChainEdge:
        """The chain through the service's JSON-RPC."""
        world = self.service.world
        settings = ChainSettings(profile="node", chain_id=world.domains.chain_id, rpc_url=world.url + "/rpc")
        return ChainEdge.open(settings)

    def nonce_of_gateway(self) -> int:
        """How many transactions the gateway sent."""
        parts = self.service.world.gateway.parts
        return parts.edge.nonce(parts.relay.address)


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    signer = LocalSigner(generate_private_key())
    folder = tmp_path_factory.mktemp("past")
    with asking(folder, "utility", "factory", relay_accounts=(signer.address,), batch_delay_s=0.3) as service:
        service.world.register(service.world.members["utility"], "power", {"a.csv": DATA})
        yield Relay(service, signer)


def terms(**members: object) -> dict[str, Any]:
    return {
        "dataset": "utility/power",
        "consumer": "factory",
        "purpose": "ResearchAndDevelopment",
        "rights": ["read"],
        "valid_until": soon(days=1),
        **members,
    }


def digest_of(relay: Relay, type_name: str, message: dict[str, Any]) -> str:
    return str(Statement.parse(type_name, message).digest(relay.service.world.domains))


def submit(relay: Relay, who: str, type_name: str, message: dict[str, Any], **headers: str) -> httpx.Response:
    identity = relay.service.world.members[who].identity
    body = relay.service.signed(identity, type_name, message)
    return relay.service.post(who, "/v1/statements", body, **headers)


def test_a_relayed_grant_and_revocation_count_like_the_rest(relay: Relay) -> None:
    service = relay.service
    size = service.world.gateway.parts.sequencer.size
    message = service.prepare("utility", "AccessGrant", terms())
    assert_problem(service.get("factory", FILE), 403, "no-grant")
    _, _, done = relay.send("utility", "AccessGrant", message)
    assert done
    grant = digest_of(relay, "AccessGrant", message)
    for who in ("utility", "factory", "audit"):
        (listed,) = service.get(who, "/v1/grants?state=active").json()["items"]
        assert (listed["digest"], listed["dataset_name"]) == (grant, "utility/power")
    assert service.get("factory", FILE).content == DATA
    assert service.get("factory", FILE + f"?grant={grant}").content == DATA
    assert_problem(service.get("factory", f"/v1/statements/{grant}"), 404, "not-found")  # said nowhere here
    revocation = service.prepare("utility", "AccessRevocation", {"grant": grant})
    _, block, done = relay.send("utility", "AccessRevocation", revocation)
    assert done
    refused = assert_problem(service.get("factory", FILE), 403, "grant-revoked", f"block {block}")
    assert (refused["grant"], refused["block"]) == (grant, block)
    assert service.get("factory", f"/v1/grants/{grant}").json()["state"] == "revoked"
    assert service.world.gateway.parts.sequencer.size == size


def test_a_grant_is_judged_as_the_contract_does_also_where_its_text_is_unknown(relay: Relay) -> None:
    service = relay.service
    for members, code in (
        ({"rights": ["derive"]}, "right-not-granted"),
        ({"first_version": 2}, "right-not-granted"),
        ({"valid_from": soon(hours=1)}, "grant-not-yet-valid"),
    ):
        message = service.prepare("utility", "AccessGrant", terms(**members))
        _, _, done = relay.send("utility", "AccessGrant", message)
        assert done
        grant = digest_of(relay, "AccessGrant", message)
        assert_problem(service.get("factory", f"{FILE}?grant={grant}"), 403, code)
    assert service.get("factory", FILE).status_code == 403


def test_what_another_relayed_first_is_done_when_it_is_submitted(relay: Relay) -> None:
    service = relay.service
    message = service.prepare("utility", "AccessGrant", terms(last_version=1))
    transaction, block, _ = relay.send("utility", "AccessGrant", message)
    sent = relay.nonce_of_gateway()
    answer = submit(relay, "utility", "AccessGrant", message, Prefer="wait=30").json()
    assert (answer["state"], answer["in_force"], answer["refusal"]) == ("final", "yes", None)
    assert (answer["transaction"], answer["block"]) == (transaction, block)
    assert relay.nonce_of_gateway() <= sent + 1  # the checkpoint's, and none for the grant
    assert service.get("utility", answer["links"]["evidence"]).status_code == 200
    listed = service.get("audit", "/v1/grants?limit=200").json()["items"]
    assert [each["digest"] for each in listed].count(answer["digest"]) == 1


def test_what_is_relayed_again_afterwards_changes_nothing(relay: Relay) -> None:
    service = relay.service
    message = service.prepare("utility", "AccessGrant", terms(last_version=1))
    before = submit(relay, "utility", "AccessGrant", message, Prefer="wait=30").json()
    _, _, done = relay.send("utility", "AccessGrant", message)
    assert done  # a repeat is no error
    after = service.get("utility", before["links"]["self"]).json()
    names = ("index", "state", "in_force", "transaction", "block")
    assert [after[name] for name in names] == [before[name] for name in names]


def test_a_relayed_registration_is_in_the_catalogue_and_gets_its_name_with_its_statement(relay: Relay) -> None:
    service = relay.service
    message = service.prepare("factory", "DatasetRegistration", registration("steel", {"s.csv": DATA}))
    relay.send("factory", "DatasetRegistration", message)
    (listed,) = service.get("utility", "/v1/datasets?provider=factory").json()["items"]
    assert (listed["latest_version"], listed["title"]) == (1, None)  # whoever repeats a hash gets no document by it
    assert service.get("utility", f"/v1/datasets/{listed['id']}/versions/1").json()["in_force"] == "yes"
    answer = submit(relay, "factory", "DatasetRegistration", message, Prefer="wait=30").json()
    assert answer["in_force"] == "yes"
    named = service.get("utility", "/v1/datasets/factory~steel").json()
    assert (named["id"], named["title"]) == (listed["id"], "Power")
    path = "/v1/datasets/factory~steel/versions/1/"
    assert service.get("factory", path + "manifest").json() == manifest_of({"s.csv": DATA})
    uploaded = service.http.put(path + "files/s.csv", content=DATA, headers=service.headers("factory"))
    assert uploaded.json()["uploaded"]
    following = service.final(service.state("factory", "DatasetRegistration", registration("steel", {"s.csv": b"2"})))
    assert following["ids"]["version"] == "2"


def _submit_at_once(relay: Relay, who: str, type_name: str, messages: list[dict[str, Any]]) -> list[httpx.Response]:
    """Submit so that each is checked before any is in force: the log's batch waits for company."""
    answers: list[httpx.Response] = []
    threads = [
        threading.Thread(target=lambda message=message: answers.append(submit(relay, who, type_name, message)))
        for message in messages
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def test_said_and_in_force_differ_when_the_contract_refuses_later(relay: Relay) -> None:
    service = relay.service
    intent = registration("rivals", {"a.csv": DATA})
    first = service.final(service.state("factory", "DatasetRegistration", intent))
    rivals = [service.prepare("factory", "DatasetRegistration", intent) for _ in range(2)]
    assert {each["version"] for each in rivals} == {"2"}
    answers = _submit_at_once(relay, "factory", "DatasetRegistration", rivals)
    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.json()["in_force"] for answer in answers} == {"pending"}
    ends = [service.final(answer) for answer in answers]
    assert sorted(each["in_force"] for each in ends) == ["refused", "yes"]
    (lost,) = (each for each in ends if each["in_force"] == "refused")
    (won,) = (each for each in ends if each["in_force"] == "yes")
    assert lost["refusal"]["code"].startswith("dataset-registry-")
    assert lost["refusal"]["detail"]
    assert won["refusal"] is None
    assert lost["index"] != won["index"]
    version = service.get("utility", "/v1/datasets/factory~rivals/versions/2").json()
    assert version["registration"] == won["digest"]
    assert service.get("utility", f"/v1/datasets/{first['ids']['dataset']}").json()["latest_version"] == 2
    evidence = service.get("factory", lost["links"]["evidence"])
    assert evidence.status_code == 200
    assert "effect" not in evidence.json()
    receipt = service.get("factory", lost["links"]["receipt"])
    assert receipt.text.startswith("c2sp.org/tlog-proof@v1\n")


def test_who_is_not_on_the_allow_list_relays_nothing(relay: Relay) -> None:
    service = relay.service
    stranger = LocalSigner(generate_private_key())
    message = service.prepare("utility", "AccessGrant", terms())
    key = service.world.members["utility"].signing
    statement = Statement.parse("AccessGrant", message)
    signed = ExecutableStatement(statement, key.address, key.sign(statement.digest(service.world.domains)))
    with service.unchanged(), relay.edge() as edge:
        call = encode_statement(service.world.domains.contracts, signed)
        (refusal,) = edge.send([edge.sign_transaction(stranger, call, 0)])
        assert isinstance(refusal, Refusal)
        assert "allow list" in refusal.message
