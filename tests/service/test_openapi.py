"""The OpenAPI document: it is valid, the service keeps to it, and people can read it."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import validate

from cybertools.tracking.codec import KINDS, PROBLEM_TYPE
from cybertools.tracking.service.app import ENDPOINTS
from cybertools.tracking.service.openapi import document
from tests.service.running import TOKEN, Running, TokenGate, running

ROOT = Path(__file__).parent.parent.parent
OWN_WAYS = ("/v1/", "/b")
"""How the paths begin whose requests are let in as they have it, not as the others are."""


def test_the_document_is_valid(tracks: Running) -> None:
    served = tracks.client.get("/openapi.json").json()
    validate(served)
    assert served == document()


def test_the_document_has_all_endpoints() -> None:
    written = {
        (method.upper(), path)
        for path, item in document()["paths"].items()
        for method in item
        if method != "parameters"
    }
    assert written == {(each.method, each.path) for each in ENDPOINTS}


def test_each_operation_says_who_may(tracks: Running) -> None:
    paths = document()["paths"]
    for endpoint in ENDPOINTS:
        operation = paths[endpoint.path][endpoint.method.lower()]
        scope = "write" if endpoint.path.startswith(OWN_WAYS) else endpoint.scope
        if scope is None:
            assert operation["security"] == []
        else:
            assert operation["description"].startswith(f"Scope: {scope}.")
            assert operation.get("security") != []
    assert tracks.client.get("/docs").status_code == 200


def test_the_page_for_people_needs_nothing_from_elsewhere(tracks: Running) -> None:
    answer = tracks.client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    page = answer.text
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", page)
    assert "http://" not in page
    assert "https://" not in page
    for path, item in document()["paths"].items():
        for method in item.keys() - {"parameters"}:
            assert f"{method.upper()} {path}" in page
    targets = set(re.findall(r'href="#([^"]+)"', page))
    assert targets
    assert targets <= set(re.findall(r'id="([^"]+)"', page))


def test_all_problems_are_in_the_document() -> None:
    kinds = document()["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    assert kinds == [PROBLEM_TYPE + name for name in KINDS]


def test_the_service_keeps_to_the_document(database: str, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(f'[auth.openapi.key]\napi_key = "{TOKEN}"\n')
    with running(database, TokenGate()) as service:
        item = {"taskId": "algebra/quiz-01", "userName": "ann", "data": {}}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        assert service.client.post(
            "/api/storages/tracks/tracks", json=item, headers=headers
        ).is_success
        done = subprocess.run(
            [
                *(Path(sys.executable).parent / "schemathesis", "--config-file", config, "run"),
                f"{service.base}/openapi.json",
                *("--header", f"Authorization: Bearer {TOKEN}"),
                # It has no end.
                *("--exclude-path", "/api/storages/{storage}/stream"),
                # Not each text that a schema admits is a time, or a name that is free.
                *("--exclude-checks", "positive_data_acceptance"),
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--seed", "1"),
                # One: Python 3.11 cannot parse in several threads, as Hypothesis does.
                *("--continue-on-failure", "--workers", "1", "--no-color"),
            ],
            env=os.environ | {"SCHEMATHESIS_HOOKS": "tests.service.schemathesis_hooks"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    (tested,) = re.findall(r"Tested: (\d+)", done.stdout)
    operations = sum(len(item.keys() - {"parameters"}) for item in document()["paths"].values())
    # All but the stream, and the document, which it does not ask for twice.
    assert int(tested) == operations - 2


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PUT"])
def test_other_methods_are_refused(tracks: Running, method: str) -> None:
    answer = tracks.client.request(method, "/healthz")
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"]) == (405, 405)
    assert answer.headers["allow"] == "GET, HEAD"
