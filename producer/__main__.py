"""`python -m producer`."""

import sys

from fanlight.producer.cli import main

sys.exit(main())
