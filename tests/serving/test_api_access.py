"""Who may use the API: the token, and the pages of other sites."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.integration

TOKEN = "a löng random text"  # noqa: S105
RIGHT = {"authorization": f"Bearer {TOKEN}".encode()}
PAGE = "https://app.example"


@pytest.mark.parametrize(
    "header",
    [None, b"", b"Bearer", b"Basic " + TOKEN.encode(), b"Bearer a", b"Bearer \xff"],
)
def test_without_the_token_there_is_nothing_but_a_problem(
    start_api: Callable[..., Any], header: bytes | None
) -> None:
    api = start_api(token=TOKEN)
    headers = {} if header is None else {"authorization": header}
    for method, path in (("GET", "/v1/models"), ("POST", "/v1/predict"), ("GET", "/metrics"),
                         ("GET", "/openapi.json"), ("GET", "/nowhere")):  # fmt: skip
        answer = api.client.request(method, path, headers=headers)
        if answer.status_code == 429:
            break  # wrong ones have been tried too often
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["reason"] == "unauthorized"
        assert TOKEN not in answer.text


def test_the_token_is_compared_in_a_time_that_tells_nothing(
    start_api: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest

    def compare(given: Any, expected: Any) -> bool:
        compared.append((given, expected))
        return real(given, expected)

    monkeypatch.setattr(hmac, "compare_digest", compare)
    api = start_api(token=TOKEN)
    assert api.get("/v1/models", headers=RIGHT).status_code == 200
    assert api.get("/v1/models", headers={"authorization": "Bearer a"}).status_code == 401
    assert compared == [(TOKEN.encode(), TOKEN.encode()), (b"a", TOKEN.encode())]


def test_pages_of_other_sites_are_shut_out(api: Any, photo: bytes) -> None:
    foreign = {"origin": PAGE}
    asked = {**foreign, "access-control-request-method": "POST"}
    preflight = api.client.options("/v1/predict", headers=asked)
    assert preflight.status_code == 403
    answers = [preflight, api.get("/v1/models", headers=foreign)]
    wrong = api.post("/v1/predict", content=photo, headers=foreign)
    assert (wrong.status_code, wrong.json()["reason"]) == (403, "forbidden")
    assert PAGE in wrong.json()["detail"]
    for answer in (*answers, wrong):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    own = {"origin": api.url}
    assert api.post("/v1/predict", content=photo, headers=own).status_code == 200


def test_a_page_that_is_named_may_and_no_other(start_api: Callable[..., Any], photo: bytes) -> None:
    api = start_api(cors_origins=(PAGE,), token=TOKEN)
    asked = {
        "origin": PAGE,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type",
    }
    preflight = api.client.options("/v1/predict", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    answer = api.post("/v1/predict", content=photo, headers={**RIGHT, "origin": PAGE})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in answer.headers
    other = {**asked, "origin": "https://evil.example"}
    assert api.client.options("/v1/predict", headers=other).status_code == 400
    denied = api.post("/v1/predict", content=photo, headers={**RIGHT, "origin": other["origin"]})
    assert denied.status_code == 403
    assert "access-control-allow-origin" not in denied.headers


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST:8000"])
def test_names_of_this_machine_are_answered(api: Any, host: str) -> None:
    assert api.get("/v1/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["", "evil.example", "127.0.0.1.evil.example", "[", "10.0.0.1"])
def test_other_names_are_not(api: Any, host: str) -> None:
    answer = api.get("/v1/models", headers={"host": host})
    assert answer.status_code in (400, 403)
