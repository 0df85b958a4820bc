"""Requests that are not what they must be: a clear refusal, nothing half done, the service goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from ledger.client import datasets
from ledger.content import scan_folder
from ledger.errors import VerificationError
from tests.support.asking import METADATA, Asking, asking, assert_problem, manifest_of, registration, soon

ID: Final = "0x" + "11" * 32
FILE: Final = b"plant,mwh\nA,1\n"
FILES: Final = "/v1/datasets/utility~power/versions/1/files/"
ROUTES: Final = (
    "profiles", "datasets", "dataset-retirements", "access-requests", "access-denials", "grants", "revocations",
    "agreements", "agreement-acceptances", "agreement-rejections", "agreement-terminations", "usage-reports",
    "usage-confirmations", "usage-disputes", "settlements", "statements", "statements:prepare", "api-keys",
)  # fmt: skip


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asking]:
    with asking(tmp_path_factory.mktemp("bad-requests"), "utility") as service:
        service.world.register(service.world.members["utility"], "power", {"a.csv": FILE, "empty.bin": b""})
        yield service


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"grant": nul}', b"\xff\xfe{}", b'{"a": 1}{', b"[]", b"null", b'"text"', b'{"\\ud800": 1}'],
    ids=["empty", "cut-off", "no-word", "no-utf8", "two", "list", "null", "text", "surrogate"],
)
def test_malformed_json_is_422_on_every_route(service: Asking, route: str, body: bytes) -> None:
    found = assert_problem(service.post("chamber", f"/v1/{route}", body), 422, "malformed", "body: ")
    assert set(found["members"]) == {"body"}


@pytest.mark.parametrize("route", ROUTES)
def test_unknown_members_are_named(service: Asking, route: str) -> None:
    found = assert_problem(service.post("chamber", f"/v1/{route}", {"surplus": 1}), 422, "malformed", "surplus")
    assert found["members"]["surplus"] == "Unexpected keyword argument"


NESTED: Final = {
    "brackets": b"[" * 1_000_000,
    "closed": b"[" * 500_000 + b"]" * 500_000,
    "objects": b'{"grant":' * 110_000,
    "inside": b'{"slug":"x","metadata":' + b"[" * 500_000 + b"]" * 500_000 + b"}",
    "just-parsed": b'{"slug":"x","metadata":{"a":' + b"[" * 150 + b"]" * 150 + b'},"manifest":1}',
}


@pytest.mark.parametrize("route", ["revocations", "datasets", "statements", "statements:prepare", "verify", "api-keys"])
@pytest.mark.parametrize("body", NESTED.values(), ids=NESTED.keys())
def test_a_megabyte_of_brackets_is_422_and_the_process_lives(service: Asking, route: str, body: bytes) -> None:
    assert_problem(service.post("chamber", f"/v1/{route}", body), 422, "malformed")
    assert service.get("none", "/v1/ready").json()["ready"]


@pytest.mark.parametrize("body", [*NESTED.values(), b"{", b"", b"\xff"])
def test_rpc_answers_bad_json_as_json_rpc(service: Asking, body: bytes) -> None:
    answer = service.post("none", "/rpc", body)
    assert answer.status_code == 200
    assert answer.json()["error"]["code"] in (-32700, -32600)


def test_deep_nesting_within_a_statement_is_refused(service: Asking) -> None:
    deep = json.loads("[" * 100 + "]" * 100)
    intent = registration("deep", {"a": b"1"}) | {"metadata": METADATA | {"schema": deep}}
    with service.unchanged():
        answer = service.post("utility", "/v1/statements:prepare", {"type": "DatasetRegistration", "intent": intent})
        assert_problem(answer, 422, "malformed", "nested")
        raw = {"type": "Sealing", "intent": {"dataset": deep}}
        assert_problem(service.post("utility", "/v1/statements:prepare", raw), 422, "malformed")


@pytest.mark.parametrize("route", ["revocations", "statements", "verify", "api-keys"])
def test_a_body_beyond_4_mib_is_413(service: Asking, route: str) -> None:
    answer = service.post("chamber", f"/v1/{route}", b" " * ((4 << 20) + 1))
    assert_problem(answer, 413, "too-large", "4194304")


def test_a_body_beyond_64_mib_is_413_where_manifests_go(service: Asking) -> None:
    body = b" " * ((64 << 20) + 1)
    for route in ("datasets", "statements:prepare"):
        assert_problem(service.post("chamber", f"/v1/{route}", body), 413, "too-large", "67108864")
    assert_problem(service.post("none", "/rpc", b" " * ((4 << 20) + 1)), 413, "too-large")


CASES: Final[dict[str, tuple[str, dict[str, Any], str]]] = {
    "grant a number": ("revocations", {"grant": 5}, "grant"),
    "grant upper case": ("revocations", {"grant": "0x" + "AB" * 32}, "lower-case"),
    "grant too short": ("revocations", {"grant": "0x11"}, "32 bytes"),
    "grant null": ("revocations", {"grant": None}, "grant"),
    "deadline zero": ("revocations", {"grant": ID, "deadline_s": 0}, "deadline_s"),
    "deadline negative": ("revocations", {"grant": ID, "deadline_s": -1}, "deadline_s"),
    "deadline huge": ("revocations", {"grant": ID, "deadline_s": 10**30}, "deadline_s"),
    "deadline a fraction": ("revocations", {"grant": ID, "deadline_s": 1.5}, "deadline_s"),
    "deadline a text": ("revocations", {"grant": ID, "deadline_s": "60"}, "deadline_s"),
    "deadline a truth": ("revocations", {"grant": ID, "deadline_s": True}, "deadline_s"),
    "profile a list": ("profiles", {"profile": []}, "profile"),
    "profile without name": ("profiles", {"profile": {"handle": "chamber"}}, "name"),
    "handle upper case": ("profiles", {"profile": {"handle": "Chamber", "name": "x"}}, "handle"),
    "handle with slash": ("profiles", {"profile": {"handle": "a/b", "name": "x"}}, "handle"),
    "did a number": ("profiles", {"profile": {"handle": "chamber", "name": "x", "did": 5}}, "did"),
    "rights a text": ("access-requests", {"rights": "read"}, "rights"),
    "scopes a text": ("api-keys", {"scopes": "read"}, "scopes"),
    "scope unknown": ("api-keys", {"scopes": ["king"]}, "scopes"),
    "no scope": ("api-keys", {"scopes": []}, "scope"),
    "key expired": ("api-keys", {"scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, "past"),
    "key without zone": ("api-keys", {"scopes": ["read"], "expires_at": "2090-01-01T00:00:00"}, "time zone"),
    "key beyond time": ("api-keys", {"scopes": ["read"], "expires_at": "9999-12-31T23:59:59-14:00"}, "9999"),
    "key never": ("api-keys", {"scopes": ["read"], "expires_at": "never"}, "expires_at"),
    "hash too short": ("verify", {"sha256": "0x12"}, "32 bytes"),
    "type unknown": ("statements:prepare", {"type": "King", "intent": {}}, "King"),
    "intent a list": ("statements:prepare", {"type": "AccessGrant", "intent": []}, "intent"),
    "signature no hex": (
        "statements",
        {"type": "Erasure", "message": {}, "signature": "zz", "signer": "0x" + "22" * 20},
        "",
    ),
    "message a number": (
        "statements",
        {"type": "Erasure", "message": 5, "signature": "0x", "signer": "0x" + "22" * 20},
        "message",
    ),
}


@pytest.mark.parametrize(("route", "body", "word"), CASES.values(), ids=CASES.keys())
def test_wrong_types_and_values_are_422_and_named(service: Asking, route: str, body: dict[str, Any], word: str) -> None:
    size = service.world.gateway.parts.sequencer.size
    assert_problem(service.post("chamber", f"/v1/{route}", body), 422, "malformed", word)
    assert service.world.gateway.parts.sequencer.size == size


def entry(path: str, **members: object) -> dict[str, Any]:
    (made,) = manifest_of({"x": FILE})["files"]
    return {**made, "path": path, **members}


def manifest(*entries: dict[str, Any], **members: object) -> dict[str, Any]:
    return {"files": list(entries), "format": "concord-manifest/1", **members}


MANIFESTS: Final[dict[str, tuple[object, str]]] = {
    "empty": (manifest(), "empty"),
    "a list": ([], "object"),
    "surplus member": (manifest(entry("a"), owner="me"), "members"),
    "surplus in entry": (manifest(entry("a", owner="me")), "members"),
    "other format": (manifest(entry("a"), format="concord-manifest/2"), "format"),
    "size a number": (manifest(entry("a", size=14)), "size"),
    "size negative": (manifest(entry("a", size="-1")), "size"),
    "size huge": (manifest(entry("a", size="9" * 16)), "size"),
    "size endless": (manifest(entry("a", size="9" * 5000)), "size"),
    "size with zeros": (manifest(entry("a", size="014")), "size"),
    "size of nothing": (manifest(entry("a", size="0")), "size"),
    "hash short": (manifest(entry("a", sha256="0x12")), "32 bytes"),
    "dotdot": (manifest(entry("../a")), "'..'"),
    "dotdot inside": (manifest(entry("a/../b")), "'..'"),
    "dot": (manifest(entry("./a")), "'.'"),
    "absolute": (manifest(entry("/etc/passwd")), "absolute"),
    "drive": (manifest(entry("C:/a")), "absolute"),
    "backslash": (manifest(entry("a\\b")), "backslash"),
    "nul": (manifest(entry("a\x00b")), "control"),
    "newline": (manifest(entry("a\nb")), "control"),
    "no path": (manifest(entry("")), "empty"),
    "double slash": (manifest(entry("a//b")), "empty"),
    "too long": (manifest(entry("a/" * 600 + "a")), "longer"),
    "not NFC": (manifest(entry("e\u0301.csv")), "normalization form C"),
    "twice": (manifest(entry("a"), entry("a")), "a"),
    "twice after NFC": (manifest(entry("e\u0301.csv"), entry("\xe9.csv")), "normalization form C"),
    "twice without case": (manifest(entry("A.csv"), entry("a.csv")), "a.csv"),
    "file and folder": (manifest(entry("a"), entry("a/b")), "a"),
    "out of order": (manifest(entry("b"), entry("a")), "sorted"),
}


@pytest.mark.parametrize(("given", "word"), MANIFESTS.values(), ids=MANIFESTS.keys())
def test_a_flawed_manifest_is_refused_and_says_where(service: Asking, given: object, word: str) -> None:
    intent = {"slug": "flawed", "metadata": METADATA, "manifest": given}
    size = service.world.gateway.parts.sequencer.size
    assert_problem(service.post("chamber", "/v1/datasets", intent), 422, "malformed", word)
    prepared = service.post("utility", "/v1/statements:prepare", {"type": "DatasetRegistration", "intent": intent})
    assert_problem(prepared, 422, "malformed", word)
    assert service.world.gateway.parts.sequencer.size == size


def test_what_else_is_wrong_with_a_registration(service: Asking) -> None:
    good = registration("flawed", {"a.csv": FILE})
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"slug": "../power"}, "slug"),
        ({"slug": "x" * 64}, "slug"),
        ({"metadata": METADATA | {"title": 5}}, "title"),
        ({"metadata": {"title": "x"}}, "description"),
        ({"metadata": METADATA | {"price": "1"}}, "price"),
        ({"metadata": METADATA | {"keywords": "power"}}, "keywords"),
        ({"metadata": METADATA | {"schema": 2**60}}, "canonical"),
        ({"metadata": METADATA | {"description": "x" * (1 << 20)}}, "1048576"),
        ({"manifest": manifest(entry("a", size=str(5 << 20)))}, "chunk"),
        ({"chunks": {"files": []}}, ""),
        ({"version": "1"}, "version"),
        ({"parents": ["utility/power"]}, "parents"),
        ({"parents": [{"dataset": "utility/power", "version": 1}] * 2}, "twice"),
        ({"parents": [{"dataset": "power"}]}, "provider/slug"),
    )
    with service.unchanged():
        for members, word in wrong:
            assert_problem(service.post("chamber", "/v1/datasets", good | members), 422, "malformed", word)
        unknown = good | {"parents": [{"dataset": "utility/power", "version": 7}]}
        assert_problem(service.post("chamber", "/v1/datasets", unknown), 404, "not-found", "no version 7")
        unknown = good | {"parents": [{"dataset": "utility/none"}]}
        assert_problem(service.post("chamber", "/v1/datasets", unknown), 404, "not-found", "utility/none")
        for version in (0, 2, -1, 2**70):
            answer = service.post("chamber", "/v1/datasets", good | {"version": version})
            facts = assert_problem(answer, 409, "version-conflict", "read it again")
            assert facts["expected"] == 1


def upload(service: Asking, data: bytes, path: str = FILES + "a.csv", who: str = "utility") -> Any:
    return service.http.put(path, content=data, headers=service.headers(who))


def test_a_file_that_changed_is_refused_while_it_is_uploaded(service: Asking) -> None:
    member = service.world.members["utility"]
    with service.unchanged():
        for data in (b"plant,mwh\nA,2\n", FILE + b"x", FILE[:-1], b"", FILE * 100_000):
            assert_problem(upload(service, data), 422, "verification-failed")
    listed = service.get("utility", FILES.rstrip("/")).json()["files"]
    assert {each["path"]: each["uploaded"] for each in listed} == {"a.csv": True, "empty.bin": True}
    assert service.get("utility", FILES + "a.csv").content == FILE  # what was there before is there
    folder = service.world.folder / "changing"
    folder.mkdir()
    (folder / "b.csv").write_bytes(FILE)
    scanned = scan_folder(folder)
    (folder / "b.csv").write_bytes(b"plant,mwh\nB,1\n")  # after hashing, before its upload
    flow = datasets.register(folder, scanned, "utility", "changing", METADATA, member.identity)
    with pytest.raises(VerificationError):
        member.client.run(flow)
    (listed,) = service.get("utility", "/v1/datasets/utility~changing/versions/1/files").json()["files"]
    assert not listed["uploaded"]
    assert_problem(
        service.get("utility", "/v1/datasets/utility~changing/versions/1/files/b.csv"), 404, "not-found", "not uploaded"
    )


def test_uploads_go_where_the_manifest_says_and_nowhere_else(service: Asking) -> None:
    for path in ("other.csv", "..%2f..%2fgateway.json", "%2e%2e/x", "a.csv/", "%00", "%2fetc%2fpasswd"):
        assert_problem(upload(service, FILE, FILES + path), 404, "not-found")
    assert_problem(upload(service, FILE, FILES.replace("/1/", "/2/") + "a.csv"), 404, "not-found", "no version 2")
    assert_problem(upload(service, FILE, who="chamber"), 403, "not-yours")
    assert sorted(each.name for each in service.world.folder.iterdir()) == sorted(
        {"home", "staged", "changing"} & {each.name for each in service.world.folder.iterdir()}
    )


BATCHES: Final[dict[str, tuple[bytes, int, str]]] = {
    "nothing": (b"", 422, "JSON list of paths"),
    "no line": (b'["a.csv"]', 422, "JSON list of paths"),
    "no JSON": (b"a.csv\n" + FILE, 422, "JSON list of paths"),
    "deep": (b"[" * 9_000 + b"\n", 422, "JSON list of paths"),
    "no list": (b'"a.csv"\n' + FILE, 422, "JSON list of paths"),
    "no path": (b"[1]\n" + FILE, 422, "JSON list of paths"),
    "no file": (b"[]\n", 422, "1 to 1,000 files"),
    "many files": (json.dumps(["a.csv"] * 1_001).encode() + b"\n", 422, "1 to 1,000 files"),
    "no such file": (b'["a.csv", "b.csv"]\n' + FILE, 404, "no file 'b.csv'"),
    "outside": (b'["../a.csv"]\n' + FILE, 404, "no file"),
    "twice": (b'["a.csv", "a.csv"]\n' + FILE + FILE, 422, "named twice"),
    "too few bytes": (b'["a.csv"]\n' + FILE[:-1], 422, "13 bytes came"),
    "too many bytes": (b'["a.csv", "empty.bin"]\n' + FILE + b"x", 422, "15 bytes came"),
    "other bytes": (b'["a.csv"]\n' + FILE[:-1] + b"x", 422, "a.csv"),
    "too large": (b'["a.csv"]\n' + bytes(8 << 20), 413, "8388608 bytes"),
}


@pytest.mark.parametrize("given", BATCHES)
def test_a_batch_that_is_not_right_is_refused_whole(service: Asking, given: str) -> None:
    body, status, sentence = BATCHES[given]
    found = service.post("utility", FILES.rstrip("/") + ":batch", body)
    assert found.status_code == status
    assert sentence in found.json()["detail"]
    assert service.get("utility", FILES + "a.csv").content == FILE


def test_a_batch_is_taken_again_from_its_provider_alone(service: Asking) -> None:
    path, body = FILES.rstrip("/") + ":batch", b'["empty.bin", "a.csv"]\n' + FILE
    assert_problem(service.post("chamber", path, body), 403, "not-yours")
    stored = service.post("utility", path, body)
    assert {each["path"]: each["uploaded"] for each in stored.json()["files"]} == {"a.csv": True, "empty.bin": True}
    assert service.get("utility", FILES + "a.csv").content == FILE


@pytest.mark.parametrize("given", ["bytes=14-", "bytes=200-300", "bytes=9999999999-", "bytes=14-14"])
def test_a_range_beyond_the_file_is_416_with_its_size(service: Asking, given: str) -> None:
    answer = service.get("utility", FILES + "a.csv", Range=given)
    assert_problem(answer, 416, "range-not-satisfiable", "14 bytes")
    assert answer.headers["content-range"] == "bytes */14"


@pytest.mark.parametrize(
    "given", ["bytes=5-2", "bytes=-5", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=" + "9" * 99]
)
def test_a_range_of_another_form_is_422(service: Asking, given: str) -> None:
    assert_problem(service.get("utility", FILES + "a.csv", Range=given), 422, "malformed", "bytes=first-last")


def test_ranges_that_fit(service: Asking) -> None:
    for given, expected, told in (
        ("bytes=0-4", FILE[:5], "bytes 0-4/14"),
        ("bytes=10-", FILE[10:], "bytes 10-13/14"),
        ("bytes=13-99", FILE[13:], "bytes 13-13/14"),
    ):
        answer = service.get("utility", FILES + "a.csv", Range=given)
        assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, expected, told)
    empty = service.get("utility", FILES + "empty.bin", Range="bytes=0-")
    assert (empty.status_code, empty.content) == (200, b"")
    assert "content-range" not in empty.headers


QUERIES: Final = (
    "limit=0", "limit=201", "limit=-1", "limit=x", "limit=99999999999999999999", "cursor=zzz", "cursor=%F0%9F%98%80",
    "cursor=" + "A" * 400, "cursor=" + "A" * 600, "since=yesterday", "since=2026-01-01T00:00:00",
    "since=9999-12-31T23:59:59-14:00", "since=0001-01-01T00:00:00%2B14:00",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("route", ["access-requests", "grants", "datasets", "agreements", "statements"])
def test_bad_cursors_limits_and_times_are_422(service: Asking, route: str, query: str) -> None:
    assert_problem(service.get("utility", f"/v1/{route}?{query}"), 422, "malformed")


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("access-requests?role=king", "provider"),
        ("access-requests?state=king", "open"),
        ("grants?state=king", "active"),
        ("datasets?role=king", "provider"),
        ("datasets?state=king", "retired"),
        ("agreements?role=king", "supplier"),
        ("agreements?state=king", "proposed"),
        ("usage?state=king", "disputed"),
        ("usage?agreement=king", "hex"),
        ("proposals?state=king", "executed"),
        ("participants?state=king", "suspended"),
        ("statements?type=King", "King"),
        ("grants?dataset=king", "provider/slug"),
        ("datasets/utility", "provider/slug"),
        ("datasets/utility~power/versions/0", "version"),
        ("datasets/utility~power/versions/-1", "version"),
        ("datasets/utility~power/versions/99999999999999999999", "version"),
        ("statements/0x12", "32 bytes"),
        ("statements/king", "hex"),
        ("documents/0x1", "hex"),
        ("participants/" + "x" * 300, "200"),
        ("log/entries/-1", "index"),
        ("log/consistency?first=0", "first"),
        ("log/proof?index=" + "9" * 40, "index"),
    ],
)
def test_filters_and_names_that_can_not_be_are_422(service: Asking, path: str, word: str) -> None:
    assert_problem(service.get("utility", f"/v1/{path}"), 422, "malformed", word)


@pytest.mark.parametrize(
    "path",
    [
        "nothing", "participants/nobody", "datasets/utility~nothing", "datasets/%00~power", "log/entries/99999",
        "datasets/utility~power/versions/9", "datasets?provider=nobody", "grants?dataset=utility/nothing",
        "statements/" + ID, "statements/" + ID + "/evidence", "documents/" + ID, "grants/" + ID, "agreements/" + ID,
        "proposals/" + ID, "access-requests/" + ID, "log/proof?index=0&size=99999", "log/proof?index=3&size=2",
        "log/consistency?first=99999", "log/tile/%2e%2e/%2e%2e/gateway.json", "log/tile/0/999", "log/tile/x",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(service: Asking, path: str) -> None:
    assert_problem(service.get("utility", f"/v1/{path}"), 404, "not-found")


def test_a_cursor_is_of_one_list_with_its_filters(service: Asking) -> None:
    cursor = service.get("audit", "/v1/statements?limit=1").json()["next"]
    assert cursor
    assert service.get("audit", f"/v1/statements?limit=1&cursor={cursor}").status_code == 200
    changed = cursor[:-1] + ("A" if cursor[-1] != "A" else "B")
    for path in (
        f"/v1/statements?limit=1&cursor={changed}",
        f"/v1/statements?limit=1&type=AccessGrant&cursor={cursor}",
        f"/v1/participants?limit=1&cursor={cursor}",
    ):
        assert_problem(service.get("audit", path), 422, "malformed", "begin again without it")
    assert_problem(service.get("utility", f"/v1/statements?limit=1&cursor={cursor}"), 422, "malformed", "begin again")


def test_other_methods_are_405(service: Asking) -> None:
    answer = service.http.delete("/v1/participants", headers=service.headers("utility"))
    assert_problem(answer, 405, "method-not-allowed", "/docs")


@pytest.mark.parametrize("prefer", ["wait=x", "wait=-1", "wait=", "wait"])
def test_a_wait_that_is_no_number_is_422(service: Asking, prefer: str) -> None:
    answer = service.post("chamber", "/v1/revocations", {"grant": ID}, Prefer=prefer)
    assert_problem(answer, 422, "malformed", "wait=30")


@pytest.mark.parametrize("key", ["x" * 256, "\t tab"])
def test_an_idempotency_key_is_short_and_printable(service: Asking, key: str) -> None:
    answer = service.post("chamber", "/v1/revocations", {"grant": ID}, Idempotency_Key="a" + key)
    assert_problem(answer, 422, "malformed")


def test_intents_about_access_and_agreements_that_can_not_be(service: Asking) -> None:
    terms = {"dataset": "utility/power", "purpose": "ResearchAndDevelopment", "rights": ["read"]}
    asked = terms | {"valid_until": soon(days=1)}
    deal = {
        "parties": ["chamber", "utility"], "supplier": "utility", "user": "chamber", "resource": "capacity",
        "terms": {"title": "x"}, "valid_from": soon(), "valid_until": soon(days=1), "quota": "10", "unit": "MW.h",
    }  # fmt: skip
    wrong: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("access-requests", asked | {"rights": []}, "right"),
        ("access-requests", asked | {"rights": ["own"]}, "own"),
        ("access-requests", asked | {"purpose": "two words"}, "purpose"),
        ("access-requests", asked | {"purpose": ""}, "purpose"),
        ("access-requests", asked | {"valid_until": soon(days=-1)}, "window"),
        ("access-requests", asked | {"valid_from": soon(days=2)}, "window"),
        ("access-requests", asked | {"valid_until": "2090-01-01T00:00:00"}, "time zone"),
        ("access-requests", asked | {"valid_until": "1960-01-01T00:00:00Z"}, "1970"),
        ("access-requests", asked | {"first_version": 0}, "1"),
        ("access-requests", asked | {"first_version": -1}, ""),
        ("access-requests", asked | {"first_version": 2**64}, ""),
        ("access-requests", asked | {"first_version": 3, "last_version": 2}, "last"),
        ("access-requests", asked | {"policy": {}}, "permission"),
        ("access-requests", asked | {"policy": {"permission": [{"target": "x"}]}}, "target"),
        ("grants", {}, "request"),
        ("grants", {"request": ID, "dataset": "utility/power"}, "terms"),
        ("agreements", deal | {"quota": "-1"}, "above zero"),
        ("agreements", deal | {"quota": "0"}, "above zero"),
        ("agreements", deal | {"quota": "1e400"}, "too large"),
        ("agreements", deal | {"quota": "NaN"}, "quota"),
        ("agreements", deal | {"quota": "Infinity"}, "quota"),
        ("agreements", deal | {"quota": "1e9999999"}, "too large"),
        ("agreements", deal | {"quota": "1." + "0" * 10_000 + "1"}, "decimal places"),
        ("agreements", deal | {"quota": "1e-9999999"}, "decimal places"),
        ("agreements", deal | {"quota": "1.0001"}, "decimal"),
        ("agreements", deal | {"decimals": 19}, "decimals"),
        ("agreements", deal | {"decimals": -1}, "decimals"),
        ("agreements", deal | {"unit": ""}, "UCUM"),
        ("agreements", deal | {"unit": "x" * 33}, "UCUM"),
        ("agreements", deal | {"unit": "MWh€"}, "UCUM"),
        ("agreements", deal | {"resource": "king"}, "capacity"),
        ("agreements", deal | {"resource": 5}, "capacity"),
    )
    with service.unchanged():
        for route, body, word in wrong:
            answer = service.post("chamber", f"/v1/{route}", body)
            assert answer.status_code == 422, (body, answer.text)
            assert_problem(answer, 422, "malformed", word)
        answer = service.post("chamber", "/v1/agreements", deal | {"parties": ["chamber", "nobody"]})
        assert_problem(answer, 404, "not-found", "nobody")
