"""Encoders and decoders, one file per codec, each imported only when it is used."""

from __future__ import annotations

from typing import Protocol

from common.codec.picture import BGR, Picture
from common.frame import Codec, EncodedFrame

__all__ = ["BGR", "Codec", "Decoded", "Decoder", "Encoded", "Encoder", "Picture", "decoder", "encoder"]
