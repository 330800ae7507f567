import csv
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from cli.outputs import CsvOutput, JsonOutput, Output, TableOutput
from cli.result import Result
from shared.domain.job_fields import Problem
from shared.domain.report import AudioTrack, TrackReason
from tests.support import factories
from worker.analyze_files import record_of
from worker.jobs.analysis_result import AnalysisResult

PROBLEM = Problem(code="undecodable", message="The file can't be decoded.", retryable=False)


def success(name: str) -> Result:
    report = factories.make_report()
    return Result(name, report=report, record=record_of(AnalysisResult(report=report, memory_peak_bytes=1)))


def printed(output: Output, capsys: pytest.CaptureFixture[str]) -> str:
    with output:
        output.write(success("=cmd().mp3"))
        output.write(Result("bad [red].mp3", problem=PROBLEM))
    return capsys.readouterr().out


def test_json_has_one_object_on_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[dict[str, Any]] = [json.loads(line) for line in printed(JsonOutput(), capsys).splitlines()]
    assert [line["file"] for line in lines] == ["=cmd().mp3", "bad [red].mp3"]
    assert lines[0]["verdict"] in {"432", "440", "other", "inconclusive"}
    assert lines[1]["problem"] == {"code": "undecodable", "message": "The file can't be decoded."}


def test_csv_has_a_header_and_no_cell_that_a_spreadsheet_runs(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(printed(CsvOutput(), capsys))))
    assert rows[0]["file"] == "'=cmd().mp3"
    assert float(rows[0]["a4_hz"]) > 400
    assert float(rows[0]["deviation_440_cents"]) < 0
    assert (rows[0]["duration_seconds"], rows[0]["duration_accuracy"], rows[0]["track"]) == (
        "215.4",
        "exact",
        "1",
    )
    assert rows[1]["problem"] == "undecodable"
    assert rows[1]["track"] == ""


def test_the_table_names_the_track_of_a_file_with_several(capsys: pytest.CaptureFixture[str]) -> None:
    report = factories.make_report()
    track = AudioTrack(index=2, count=2, reason=TrackReason.DEFAULT)
    with TableOutput() as output:
        output.write(Result("film.mkv", report=replace(report, audio=replace(report.audio, track=track))))
        output.write(success("song.mp3"))
    film, song = [line for line in capsys.readouterr().out.splitlines() if ".m" in line]
    assert "track 2 of 2, the default" in film
    assert "track" not in song


def test_the_table_shows_names_as_they_are_and_errors_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    with TableOutput() as output:
        output.write(success("song.mp3"))
        output.write(Result("bad [red].mp3", problem=PROBLEM))
    table, errors = capsys.readouterr()
    assert "song.mp3" in table
    assert "bad [red].mp3" in table
    assert "undecodable" in table
    assert "\x1b" not in table
    assert errors == "bad [red].mp3: The file can't be decoded.\n"


def test_an_interrupted_table_is_printed_as_far_as_it_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted() -> None:
        with TableOutput() as output:
            output.write(success("first.mp3"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert "first.mp3" in capsys.readouterr().out
