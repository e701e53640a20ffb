"""What a doctor's child may do: answer, raise, abort, hang."""

from __future__ import annotations

import json
import os
import sys
import threading

from fanlight.common.model.errors import SourceError

given = json.load(sys.stdin)
if given["work"] == "arguments":
    sys.stdout.write(f"{sys.argv[1:]} {given['url']}")
elif given["work"] == "raise":
    raise SourceError("no camera")
elif given["work"] == "abort":
    os.abort()
else:
    threading.Event().wait()
