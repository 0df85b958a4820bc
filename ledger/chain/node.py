"""JSON-RPC over a web3 provider, with every foreign failure turned into the ledger's own: one table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NoReturn, Protocol, cast

import msgspec
import requests
from web3 import HTTPProvider
from web3.exceptions import Web3Exception
from web3.types import RPCEndpoint, RPCResponse

from ledger.chain.http import AnswerTooLargeError, open_session, read_answer
from ledger.content.paths import printable
from ledger.errors import UnavailableError

__all__ = ["NodeConnection", "Provider", "RpcError", "connect_http", "fetch_chain_id"]

Request = tuple[str, list[Any]]

_RETRY_AFTER_S: Final = 2.0
_MOST_ANSWER_BYTES: Final = 64 << 20
_LONGEST_TEXT: Final = 2_000
_CODES_END: Final = 1 << 31  # of JSON-RPC's error codes: more digits are none
_CUT_OFF: Final = "response too large"  # go-ethereum (rpc/errors.go), with the code -32003 that others use otherwise

# What a provider raises, most particular first, and the sentence for it.
_FAILURES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (requests.exceptions.Timeout, "the node did not answer in time"),
    (requests.exceptions.ConnectionError, "the node can not be reached"),
    (requests.exceptions.HTTPError, "the node's HTTP server refused the request"),
    (requests.exceptions.RequestException, "the request to the node failed"),
    (AnswerTooLargeError, "the node's answer is larger than anything that was asked for"),
    (Web3Exception, "the node's answer could not be understood"),
    (ValueError, "the node answered something other than JSON-RPC"),
    (RecursionError, "the node answered something other than JSON-RPC"),
    (OSError, "the connection to the node failed"),
)


class Provider(Protocol):
    """The two calls that we make of a web3 provider."""

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """One request."""
        ...

    def make_batch_request(self, requests: list[tuple[RPCEndpoint, Any]], /) -> list[RPCResponse] | RPCResponse:
        """Several; a node that refuses the batch as a whole answers one error."""
        ...


class RpcError(UnavailableError):
    """The node answered a JSON-RPC error: ``code``, ``text`` and ``data`` are the node's own.

    Of the text what a terminal or a log would not show as itself is escaped, and what goes on and on is left out.
    """

    def __init__(self, method: str, code: int, text: str, data: object = None) -> None:
        text = printable(text[:_LONGEST_TEXT])
        super().__init__(
            f"the node answered {method} with error {code}: {text[:200]}. Try again; if it stays, look at the node",
            retry_after_s=_RETRY_AFTER_S,
        )
        self.code = code
        self.text = text
        self.data = data

    @property
    def is_cut_off(self) -> bool:
        """Whether the node would have answered in a shorter batch."""
        return self.text == _CUT_OFF


class _HttpProvider(HTTPProvider):
    """web3's, which reads and writes JSON in a third of the time, and no answer without end."""

    def __init__(self, url: str, timeout_s: float, session: requests.Session) -> None:
        super().__init__(url, session=session, exception_retry_configuration=None)
        self._url, self._timeout_s, self._session = url, timeout_s, session
        self._headers = {**self.get_request_headers(), "Accept-Encoding": "identity"}

    def _make_request(self, _method: RPCEndpoint, request_data: bytes) -> bytes:
        return self._post(request_data)

    def _post(self, body: bytes) -> bytes:
        with self._session.post(
            self._url, data=body, headers=self._headers, timeout=self._timeout_s, stream=True
        ) as response:
            response.raise_for_status()
            return read_answer(response, _MOST_ANSWER_BYTES)

    def encode_rpc_request(self, method: RPCEndpoint, params: Any) -> bytes:
        request = {"jsonrpc": "2.0", "method": method, "params": params or [], "id": next(self.request_counter)}
        return msgspec.json.encode(request)

    @staticmethod
    def decode_rpc_response(raw_response: bytes) -> RPCResponse:
        return cast("RPCResponse", msgspec.json.decode(raw_response))

    def make_batch_request(self, batch_requests: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | RPCResponse:
        """Ask several, and put the answers in the order of what was asked. Raises: ValueError: they do not belong."""
        forms = [
            {"jsonrpc": "2.0", "method": method, "params": params or [], "id": next(self.request_counter)}
            for method, params in batch_requests
        ]
        answers = self.decode_rpc_response(self._post(msgspec.json.encode(forms)))
        return answers if not isinstance(answers, list) else _in_order(answers, [form["id"] for form in forms])


def _in_order(answers: list[Any], asked: Sequence[int]) -> list[RPCResponse]:
    """The answers of a batch as they were asked for: a node may answer in any order, but each request once."""
    if len(answers) != len(asked):
        return answers  # who asked says so
    by_id: dict[Any, Any] = {}
    for answer in answers:
        identity = answer.get("id") if isinstance(answer, dict) else None
        if type(identity) is not int or identity in by_id:
            raise ValueError("an answer names no request, or one that another answer names")
        by_id[identity] = answer
    try:
        return [by_id[each] for each in asked]
    except KeyError as error:
        raise ValueError("an answer names what was not asked") from error


def connect_http(url: str, timeout_s: float, session: requests.Session | None = None) -> Provider:
    """A provider over HTTP that neither retries nor caches: both are decided here, not in the library."""
    return cast("Provider", _HttpProvider(url, timeout_s, session or open_session()))


def fetch_chain_id(url: str, timeout_s: float = 10.0) -> int:
    """The chain id that the node at ``url`` says. Raises: UnavailableError."""
    with open_session() as session:
        answer = NodeConnection(connect_http(url, timeout_s, session), 1).ask("eth_chainId")
    try:
        return int(answer, 16)
    except (TypeError, ValueError) as error:
        raise UnavailableError("the node's answer to eth_chainId is no chain id") from error


class NodeConnection:
    """Asks a node and raises nothing but ``UnavailableError``. Thread-safe."""

    def __init__(self, provider: Provider, batch_size: int) -> None:
        self._provider = provider
        self._batch_size = batch_size

    def ask(self, method: str, *params: Any) -> Any:
        """The result of one request.

        Raises:
            RpcError: the node answered an error.
            UnavailableError: no answer, or none that is JSON-RPC.
        """
        try:
            response = self._provider.make_request(RPCEndpoint(method), list(params))
        except tuple(kind for kind, _ in _FAILURES) as error:
            _raise_unavailable(method, error)
        result = _unpack(method, response)
        if isinstance(result, RpcError):
            raise result
        return result

    def ask_each(self, all_requests: Sequence[Request]) -> list[Any]:
        """The result of each request, in batches; an error stands in the list as ``RpcError``.

        Raises:
            UnavailableError: no answer, or none that is JSON-RPC; of the requests some may have taken effect.
        """
        results: list[Any] = []
        for start in range(0, len(all_requests), self._batch_size):
            results += self._ask_batch(all_requests[start : start + self._batch_size])
        return results

    def _ask_batch(self, batch: Sequence[Request]) -> list[Any]:
        method = batch[0][0]
        try:
            responses = self._provider.make_batch_request([(RPCEndpoint(name), params) for name, params in batch])
        except AnswerTooLargeError as error:
            if len(batch) == 1:
                _raise_unavailable(method, error)
            return self._ask_halves(batch)
        except tuple(kind for kind, _ in _FAILURES) as error:
            _raise_unavailable(method, error)
        if not isinstance(responses, list):  # refused as a whole: too large a batch, or a limit of the node
            refusal = _unpack(method, responses)
            if len(batch) == 1 or not isinstance(refusal, RpcError):
                return [refusal]
            return self._ask_halves(batch)
        if len(responses) != len(batch):
            raise UnavailableError(
                f"the node answered {len(responses)} of {len(batch)} requests", retry_after_s=_RETRY_AFTER_S
            )
        results = [_unpack(name, response) for (name, _), response in zip(batch, responses, strict=True)]
        return self._ask_cut_off(batch, results)

    def _ask_halves(self, batch: Sequence[Request]) -> list[Any]:
        middle = len(batch) // 2
        return self._ask_batch(batch[:middle]) + self._ask_batch(batch[middle:])

    def _ask_cut_off(self, batch: Sequence[Request], results: list[Any]) -> list[Any]:
        """Ask again for what go-ethereum left out of its answer because the answer grew too long."""
        left_out = [place for place, each in enumerate(results) if isinstance(each, RpcError) and each.is_cut_off]
        if left_out and len(left_out) < len(batch):
            again = self._ask_batch([batch[place] for place in left_out])
            for place, result in zip(left_out, again, strict=True):
                results[place] = result
        return results


def _raise_unavailable(method: str, error: Exception) -> NoReturn:
    sentence = next(sentence for kind, sentence in _FAILURES if isinstance(error, kind))
    raise UnavailableError(
        f"{sentence} ({method}: {type(error).__name__}). Check that it runs and that its URL is right",
        retry_after_s=_RETRY_AFTER_S,
    ) from error


def _unpack(method: str, response: Any) -> Any:
    if isinstance(response, dict):
        error = response.get("error")
        if error is None and "result" in response:
            return response["result"]
        if isinstance(error, dict):
            return RpcError(method, _code_of(error), str(error.get("message")), error.get("data"))
    raise UnavailableError(f"the node's answer to {method} is not JSON-RPC", retry_after_s=_RETRY_AFTER_S)


def _code_of(error: dict[str, Any]) -> int:
    code = error.get("code")
    return code if isinstance(code, int) and abs(code) < _CODES_END else 0
