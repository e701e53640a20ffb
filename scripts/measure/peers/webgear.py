"""VidGear's WebGear as its documentation shows it; run by the Python of an environment that has VidGear.

python scripts/measure/peers/webgear.py CLIP PORT
"""

from __future__ import annotations

import sys

import uvicorn  # type: ignore[import-not-found]
from vidgear.gears.asyncio import WebGear  # type: ignore[import-not-found]


def main(clip: str, port: int) -> None:
    """Serve the clip at /video, at its own rate as WebGear knows it."""
    # It would download its page; only /video is asked for.
    options = {"frame_size_reduction": 0, "jpeg_compression_quality": 80, "skip_generate_webdata": True}
    web = WebGear(source=clip, logging=False, **options)
    uvicorn.run(web(), host="127.0.0.1", port=port, log_level="warning")
    web.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
