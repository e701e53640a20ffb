from __future__ import annotations

import subprocess
import sys

import pytest

from common.codec import check_quality, decoder, encoder
from common.errors import ConfigError
from common.frame import Codec
from tests.unit.common.codec.build import framed, gradient, psnr


@pytest.mark.parametrize("codec", Codec)
def test_every_codec_has_both_directions(codec: Codec) -> None:
    encoded = encoder(codec, fps=30, gop_s=1).encode(gradient(64, 48), key=True)
    assert encoded.key
    image = decoder(codec).decode(framed(codec, encoded.body, (64, 48))).pixels()
    assert psnr(image, gradient(64, 48)) >= 30


@pytest.mark.parametrize("codec", Codec)
def test_each_call_gives_one_of_its_own(codec: Codec) -> None:
    assert decoder(codec) is not decoder(codec)
    assert encoder(codec, fps=30, gop_s=1) is not encoder(codec, fps=30, gop_s=1)


@pytest.mark.parametrize(
    ("codec", "low", "high", "default"),
    [(Codec.H264, 0, 51, 23), (Codec.JPEG, 1, 100, 80), (Codec.PNG, 0, 9, 1)],
)
def test_quality_has_a_range_and_a_default(codec: Codec, low: int, high: int, default: int) -> None:
    assert check_quality(codec, None) == default
    assert (check_quality(codec, low), check_quality(codec, high)) == (low, high)
    for wrong in (low - 1, high + 1):
        with pytest.raises(ConfigError, match=f"--quality {wrong} cannot be used: allowed for {codec} is"):
            encoder(codec, fps=30, gop_s=1, quality=wrong)


def test_raw_has_no_quality() -> None:
    assert check_quality(Codec.RAW, None) == 0
    with pytest.raises(ConfigError, match="raw has no quality, leave it out"):
        check_quality(Codec.RAW, 1)


def test_a_refusal_names_the_setting_as_the_user_wrote_it() -> None:
    with pytest.raises(ConfigError, match=r"^FANLIGHT_QUALITY 99"):
        check_quality(Codec.H264, 99, "FANLIGHT_QUALITY")


def test_a_codec_is_loaded_only_when_it_is_used() -> None:
    code = (
        "import sys; import common.codec; "
        "sys.exit(any(n.startswith('common.codec.') and n[13:] not in ('base', 'picture') "
        "for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
