"""Downmixing keeps the music of channels that cancel each other out, and changes nothing else."""

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.decoding.block_mixer import BlockMixer
from worker.decoding.downmix import Downmix
from worker.decoding.window import Window

RATE = 44_100


def noise(seed: int, frames: int = 4 * RATE) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(frames).astype(np.float32)


def mix(channels: list[NDArray[np.float32]], *, block: int = 1024) -> NDArray[np.float32]:
    downmix, sound = Downmix(), np.stack(channels)
    starts = range(0, sound.shape[1], block)
    return np.concatenate([downmix.mix(sound[:, at : at + block], sample_rate=RATE) for at in starts])


def power(sound: NDArray[np.float32]) -> float:
    return float(np.mean(sound.astype(np.float64) ** 2))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_usual_stereo_becomes_the_mean(share: float) -> None:
    left, right = noise(1), share * noise(1) + (1 - share) * noise(2)
    np.testing.assert_allclose(mix([left, right]), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("gain", [-1.0, -0.8, -1.2])
@pytest.mark.parametrize("block", [256, 1024, 16_384])
def test_opposite_channels_keep_their_power(gain: float, block: int) -> None:
    assert power(mix([noise(1), gain * noise(1)], block=block)) > 0.6


def test_a_change_to_opposite_channels_loses_little() -> None:
    left = noise(1, 20 * RATE)
    right = np.where(np.arange(len(left)) < 10 * RATE, left, -left)
    mono = mix([left, right])
    assert power(mono[11 * RATE :]) > 0.9
    assert np.abs(mono).max() <= np.abs(left).max()


def test_two_opposite_channels_of_eight_keep_their_music() -> None:
    silence = np.zeros_like(noise(1))
    assert power(mix([noise(1), -noise(1), *[silence] * 6])) > 0.9


def test_invalid_samples_of_one_channel_are_left_out() -> None:
    left, right = noise(1), noise(2)
    left[1000:2000] = np.nan
    mono = mix([left, right])
    assert np.isfinite(mono).all()
    np.testing.assert_allclose(mono[1000:2000], right[1000:2000] / 2, atol=1e-6)


def test_frames_without_a_valid_sample_are_nan() -> None:
    left, right = noise(1), noise(2)
    left[5], right[5] = np.inf, np.nan
    assert np.flatnonzero(np.isnan(mix([left, right]))).tolist() == [5]


def test_short_blocks_are_mixed_like_long_ones() -> None:
    sound = np.stack([noise(1), noise(2)])
    window = Window(seconds=60)
    mixer = BlockMixer(window)
    for at in range(0, sound.shape[1], 441):
        mixer.add(sound[:, at : at + 441], sample_rate=RATE)
    mixer.flush()
    mono = sound.mean(axis=0)
    samples, _ = window.finish()
    np.testing.assert_allclose(samples, mono / np.abs(mono).max(), atol=0.2)
    assert np.corrcoef(samples, mono)[0, 1] > 0.9999


def test_what_was_before_a_change_of_channels_is_kept() -> None:
    window = Window(seconds=60)
    mixer = BlockMixer(window)
    mixer.add(0.1 * np.stack([noise(1, 100), noise(1, 100)]), sample_rate=RATE)
    mixer.add(0.1 * noise(2, 300), sample_rate=RATE)
    mixer.add(np.zeros(0, np.float32), sample_rate=RATE)
    mixer.flush()
    samples, _ = window.finish()
    np.testing.assert_allclose(samples, 0.1 * np.concatenate([noise(1, 100), noise(2, 300)]), atol=1e-6)
