"""Private interfaces of libraries that we use. Their versions have upper bounds in pyproject.toml.

When you raise a bound and a test here fails, look for the public way first.
"""

import inspect
import tomllib
from pathlib import Path

import billiard.pool
import pytest
import urllib3
from botocore.response import StreamingBody
from celery.concurrency.asynpool import AsynPool
from fastapi import APIRouter, FastAPI
from fastapi.routing import iter_route_contexts
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.http.limits.connection import Connection
from worker.health.pool import PatientPool

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.mark.parametrize("name", ["boto3", "celery[redis]", "fastapi", "uvicorn[standard]"])
def test_libraries_whose_private_interfaces_we_use_have_upper_bounds(name: str) -> None:
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    requirements = project["dependencies"] + project["optional-dependencies"]["api"]
    (requirement,) = [line for line in requirements if line.startswith(f"{name}>=")]
    assert ",<" in requirement


def test_uvicorn_has_the_protocol_that_api_http_connection_extends() -> None:
    overridden = {name for name, _ in inspect.getmembers(Connection, inspect.isfunction)} & vars(
        Connection
    ).keys()
    theirs = {name for name in overridden if not name.startswith("_")}
    assert theirs == {
        "connection_made",
        "connection_lost",
        "eof_received",
        "data_received",
        "on_message_begin",
        "on_headers_complete",
        "on_body",
        "on_message_complete",
        "on_response_complete",
        "pause_writing",
        "resume_writing",
        "send_400_response",
        "shutdown",
    }
    assert {name for name in theirs if not hasattr(HttpToolsProtocol, name)} == set()
    source = inspect.getsource(HttpToolsProtocol)
    assert {
        name
        for name in ("self.cycle", "self.transport", "self.loop", "self.parser", "self.url", "self.headers")
        if name not in source
    } == set()


def test_fastapi_lists_the_routes_of_included_routers_with_their_prefix() -> None:
    router = APIRouter()
    router.add_api_route("/x", lambda: None)
    app = FastAPI()
    app.include_router(router, prefix="/v1")
    assert ("/v1/x", {"GET"}) in [
        (context.path, context.methods) for context in iter_route_contexts(app.routes)
    ]


def test_botocore_streams_over_urllib3_which_reads_what_has_arrived() -> None:
    assert "_raw_stream" in inspect.getsource(StreamingBody.__init__)
    assert callable(urllib3.HTTPResponse.read1)


def test_celery_has_the_pool_that_worker_health_pool_extends() -> None:
    overridden = {name for name in vars(PatientPool) if hasattr(AsynPool, name) and not name.startswith("__")}
    assert overridden == {"_create_worker_process", "_process_cleanup_queues"}
    source = inspect.getsource(AsynPool) + inspect.getsource(billiard.pool.Pool)
    assert {
        name
        for name in (
            "self._queues",
            "self._processes",
            "self._pool",
            "create_process_queues",
            "w.index",
            "_popen",
        )
        if name not in source
    } == set()
