"""Compresses JSON with a dictionary of what it usually contains: alone, a kilobyte is too short to compress.

A dictionary is part of what is stored. Never change one: add another one, and a field name that goes with it.
"""

import zlib

REPORT = (
    b'"remarks":["wow","damaged","single_tone"],"reason":"no_stable_pitch","tuning_drifts","ambiguous","silent",'
    b'"too_short","noise_like","temperament":"just","language":"eng","title":"","container":"MP4","WEBM","OGG",'
    b'"codec":"AAC","OPUS","VORBIS","FLAC","PCM_16","container":"WAV","container":"FLAC","ALAC",'
    b'"wow_rate_hz":0.556,"wow_depth_cents":0.00,"verdict":"inconclusive","verdict":"other","verdict":"440",'
    b'{"tuning":{"verdict":"432","confidence":0.97,"accuracy_probability":0.9,"verdict_probability":0.9,'
    b'"probabilities":{"415":0.0,"430":0.0,"432":0.9,"435":0.0,"440":0.0,"442":0.0,"443":0.0,"466":0.0,'
    b'"other":0.0},"a4_hz":432.0,"uncertainty_cents":0.6,"deviation_440_cents":-31.7,'
    b'"deviation_432_cents":0.2,"nearest_standard_hz":432.0,"also_fits_hz":[407.8,457.7],'
    b'"drift_cents":[0.1,null,-0.1],"dominant_hz":216.0,"dominant_note":"A3","C#4","dominant_cents":-31.7,'
    b'"spectrum":{"low_hz":27.5,"high_hz":14080.0},"analysis_version":"6"},"audio":{"container":"MP3",'
    b'"codec":"MPEG_LAYER_III","sample_rate":48000,"sample_rate":44100,"channels":1,"channels":2,'
    b'"start_seconds":0.0,"analysed_seconds":60.0,"bytes_read":1441792,"decode_seconds":0.4,'
    b'"analysis_seconds":0.3,"window_seconds":60.0,"duration_seconds":215.4,"duration_accuracy":"exact",'
    b'"track":{"index":1,"count":1}},"sizes":[100,512]}'
)
"""Of the head of a packed report."""

EVENT = (
    b'{"id":"","state":"failed","problem":{"code":"undecodable","message":"","retryable":false},"code":"silent",'
    b'"retryable":true},"type":"job.dead","type":"job.canceled","type":"job.started","type":"batch.completed",'
    b'"type":"webhook.test","type":"job.failed","filename":".wav","media_type":"audio/wav","filename":".mp3",'
    b'"media_type":"audio/mpeg","media_type":"application/octet-stream","source":"https://","reason":'
    b'"no_stable_pitch","tuning_drifts","ambiguous","noise_like","verdict":"inconclusive","verdict":"other",'
    b'"verdict":"440","why":"lease expired","container":"WAV","PCM_16","FLAC","MP4","AAC","OGG","OPUS",'
    b'{"type":"job.succeeded","version":"1","timestamp":"2026-11-28T00:00:00.000Z","data":{"id":"",'
    b'"state":"succeeded","created_at":"2026-11-28T00:00:00.000Z","started_at":"2026-11-28T00:00:00.000Z",'
    b'"finished_at":"2026-11-28T00:00:00.000Z","expires_at":"2026-11-29T00:00:00.000Z","attempts":1,'
    b'"input":{"filename":".flac","media_type":"audio/flac","bytes":00,"sha256":"","source":null},'
    b'"report":{"verdict":"432","verdict_probability":0.9,"probabilities":{"415":0.0,"430":0.0,"432":0.9,'
    b'"435":0.0,"440":0.0,"442":0.0,"443":0.0,"466":0.0,"other":0.0},"accuracy_probability":0.9,'
    b'"confidence":0.9,"reason":null,"remarks":[],"temperament":null,"a4_hz":432.0,"uncertainty_cents":0.6,'
    b'"deviation_440_cents":-31.7,"deviation_432_cents":0.2,"nearest_standard_hz":432.0,'
    b'"also_fits_hz":[407.8,457.7],"drift_cents":[0.1,null,-0.1],"wow_rate_hz":null,"wow_depth_cents":null,'
    b'"dominant_hz":216.0,"dominant_note":"A3","dominant_cents":-31.7,"analysis_version":"6",'
    b'"audio":{"container":"MP3","codec":"MPEG_LAYER_III","sample_rate":44100,"channels":2,'
    b'"start_seconds":0.0,"analysed_seconds":60.0,"bytes_read":1441792,"decode_seconds":0.4,'
    b'"analysis_seconds":0.3,"duration_seconds":215.4,"duration_accuracy":"exact","track":{"index":1,'
    b'"count":1,"language":null,"title":null,"reason":"only"}}},"problem":null,"cached":false,'
    b'"batch_id":null,"timeline":[{"at":"2026-11-28T00:00:00.000Z","state":"queued","attempt":0,'
    b'"worker":null,"memory_peak_bytes":null,"why":null},{"at":"2026-11-28T00:00:00.000Z","state":"running",'
    b'"attempt":1,"worker":"celery@:","memory_peak_bytes":null,"why":null},'
    b'{"at":"2026-11-28T00:00:00.000Z","state":"succeeded","attempt":1,"worker":"","memory_peak_bytes":00,'
    b'"why":null}],"links":{"self":"/v1/jobs/","events":"/v1/jobs//events","page":"/jobs/"}}}'
)
"""Of the body of a webhook."""


def compress(data: bytes, dictionary: bytes) -> bytes:
    """The data in zlib's format, with a preset dictionary."""
    packer = zlib.compressobj(9, zdict=dictionary)
    return packer.compress(data) + packer.flush()


def decompress(data: bytes, dictionary: bytes) -> bytes:
    """The original data. Raises zlib.error."""
    unpacker = zlib.decompressobj(zdict=dictionary)
    unpacked = unpacker.decompress(data) + unpacker.flush()
    if not unpacker.eof:
        raise zlib.error("the data ends early")
    return unpacked
