"""Benchmarks of whole processes, seen from outside: traces that consumers write, and /proc. Linux."""

import logging

# On a machine that is busy, or new, it says that it makes its list of fonts.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
