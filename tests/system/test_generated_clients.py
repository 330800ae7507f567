"""Clients that five OpenAPI generators make of our document upload a song and poll its job, unchanged."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.music import make_song
from tests.support.system import System

PYTHON_GENERATORS = ["openapi-python-client==0.29.1", "openapi-generator-cli==7.26.0"]
JS_GENERATORS = [
    "@hey-api/openapi-ts@0.99.0",
    "openapi-typescript@7.13.0",
    "openapi-fetch@0.17.0",
    "axios@1.21.1",
    "esbuild@0.28.2",
    "typescript@5",
]
TSCONFIG = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": ["es2022", "dom", "dom.iterable"],
        "types": [],
    },
    "include": ["main.ts"],
}

OPENAPI_PYTHON_CLIENT = """
import io, sys
from kammerton_client import Client
from kammerton_client.api.jobs import create_job, get_job
from kammerton_client.models import CreateJobFilesBody
from kammerton_client.types import File

url, path = sys.argv[1:]
client = Client(base_url=url, raise_on_unexpected_status=True)
song = File(payload=io.BytesIO(open(path, "rb").read()), file_name="song.wav", mime_type="audio/wav")
job = create_job.sync(client=client, body=CreateJobFilesBody(file=song))
while not job.report:
    job = get_job.sync(job.id, client=client, wait=20)
print(job.report.verdict)
"""
OPENAPI_GENERATOR_PYTHON = """
import sys
from openapi_client import ApiClient, Configuration, JobsApi

url, path = sys.argv[1:]
jobs = JobsApi(ApiClient(Configuration(host=url)))
job = jobs.create_job(("song.wav", open(path, "rb").read()))
while not job.report:
    job = jobs.get_job(job.id, wait=20)
print(job.report.verdict)
"""
HEY_API = """
import { openAsBlob } from "node:fs";
import { client } from "./generated/client.gen";
import { createJob, getJob } from "./generated";

const [url, path] = process.argv.slice(2);
client.setConfig({ baseUrl: url, throwOnError: true });
const created = await createJob({ body: { file: await openAsBlob(path) } });
let job = created.data!;
while (!job.report) {
  const read = await getJob({ path: { job_id: job.id }, query: { wait: 20 } });
  job = read.data!;
}
console.log(job.report.verdict);
"""
OPENAPI_TYPESCRIPT = """
import { openAsBlob } from "node:fs";
import createClient from "openapi-fetch";
import type { paths } from "./schema";

const [url, path] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });
const form = new FormData();
form.append("file", await openAsBlob(path), "song.wav");
const created = await client.POST("/v1/jobs", { body: form as any });
let job = created.data!;
while (!job.report) {
  const read = await client.GET("/v1/jobs/{job_id}", {
    params: { path: { job_id: job.id }, query: { wait: 20 } },
  });
  job = read.data!;
}
console.log(job.report.verdict);
"""
TYPESCRIPT_AXIOS = """
import { openAsBlob } from "node:fs";
import { Configuration, JobsApi } from "./generated";

const [url, path] = process.argv.slice(2);
const jobs = new JobsApi(new Configuration({ basePath: url }));
const song = new File([await openAsBlob(path)], "song.wav", { type: "audio/wav" });
const { id } = (await jobs.createJob({ file: song })).data;
let job = (await jobs.getJob({ jobId: id, wait: 20 })).data;
while (!job.report) job = (await jobs.getJob({ jobId: id, wait: 20 })).data;
console.log(job.report.verdict);
"""


def run(command: Sequence[str | Path], folder: Path, **env: str) -> str:
    result = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        env=os.environ | env,
        text=True,
        capture_output=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-3000:] + result.stderr[-3000:]
    return result.stdout


def install(command: Sequence[str | Path], folder: Path) -> None:
    """Skip where the registries are out of reach; in CI that is a failure."""
    try:
        run(command, folder)
    except (AssertionError, OSError, subprocess.SubprocessError) as missing:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"cannot install the generators: {missing}")


@pytest.fixture(scope="module")
def python_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python-generators")
    run([sys.executable, "-m", "venv", folder], folder)
    runtime = ["lazy-imports", "pydantic", "python-dateutil", "urllib3"]
    install([folder / "bin" / "pip", "install", "-q", *PYTHON_GENERATORS, *runtime], folder)
    return folder / "bin"


@pytest.fixture(scope="module")
def js_tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("js-generators")
    install(["npm", "install", "--prefix", folder, "--no-audit", "--no-fund", *JS_GENERATORS], folder)
    return folder


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("song") / "song.wav"
    path.write_bytes(make_song(432.0, seconds=15))
    return path


@pytest.fixture
def document(system: System, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text(system.client.get("/openapi.json").text)
    return path


def verdict_of(program: str, system: System, song: Path, python: Path, folder: Path) -> str:
    (folder / "main.py").write_text(program)
    return run([python, "main.py", home(system), song], folder).strip()


def js_verdict_of(program: str, system: System, song: Path, tools: Path, folder: Path) -> str:
    """Check the types, bundle, and run."""
    (folder / "main.ts").write_text(program.replace("process.argv", "(globalThis as any).process.argv"))
    (folder / "fs.d.ts").write_text(
        'declare module "node:fs" { function openAsBlob(path: string): Promise<Blob>; }'
    )
    (folder / "tsconfig.json").write_text(json.dumps(TSCONFIG | {"include": ["main.ts", "fs.d.ts"]}))
    (folder / "node_modules").symlink_to(tools / "node_modules")
    run([tools / "node_modules/.bin/tsc", "-p", "."], folder)
    bundle = ["--bundle", "--platform=node", "--format=esm", "--outfile=main.mjs", "--log-level=error"]
    shim = (
        "--banner:js=import {createRequire} from 'node:module'; const require=createRequire(import.meta.url);"
    )
    run([tools / "node_modules/.bin/esbuild", "main.ts", *bundle, shim], folder)
    return run(["node", "main.mjs", home(system), song], folder).strip()


def home(system: System) -> str:
    return str(system.client.base_url).rstrip("/")


def test_openapi_python_client(
    system: System, song: Path, document: Path, python_tools: Path, tmp_path: Path
) -> None:
    tool = python_tools / "openapi-python-client"
    path = f"{python_tools}:{os.environ['PATH']}"
    run([tool, "generate", "--path", document, "--output-path", tmp_path / "out"], tmp_path, PATH=path)
    verdict = verdict_of(OPENAPI_PYTHON_CLIENT, system, song, python_tools / "python", tmp_path / "out")
    assert verdict == "432"


def test_openapi_generator_python(
    system: System, song: Path, document: Path, python_tools: Path, tmp_path: Path
) -> None:
    tool = python_tools / "openapi-generator-cli"
    run([tool, "generate", "-i", document, "-g", "python", "-o", tmp_path / "out"], tmp_path)
    verdict = verdict_of(OPENAPI_GENERATOR_PYTHON, system, song, python_tools / "python", tmp_path / "out")
    assert verdict == "432"


def test_hey_api(system: System, song: Path, document: Path, js_tools: Path, tmp_path: Path) -> None:
    tool = js_tools / "node_modules/.bin/openapi-ts"
    run([tool, "-i", document, "-o", tmp_path / "generated"], tmp_path)
    assert js_verdict_of(HEY_API, system, song, js_tools, tmp_path) == "432"


def test_openapi_typescript(
    system: System, song: Path, document: Path, js_tools: Path, tmp_path: Path
) -> None:
    tool = js_tools / "node_modules/.bin/openapi-typescript"
    run([tool, document, "-o", tmp_path / "schema.d.ts"], tmp_path)
    assert js_verdict_of(OPENAPI_TYPESCRIPT, system, song, js_tools, tmp_path) == "432"


def test_openapi_generator_typescript_axios(
    system: System, song: Path, document: Path, python_tools: Path, js_tools: Path, tmp_path: Path
) -> None:
    tool = python_tools / "openapi-generator-cli"
    options = ["-g", "typescript-axios", "--additional-properties=useSingleRequestParameter=true"]
    run([tool, "generate", "-i", document, *options, "-o", tmp_path / "generated"], tmp_path)
    assert js_verdict_of(TYPESCRIPT_AXIOS, system, song, js_tools, tmp_path) == "432"
