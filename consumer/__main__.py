"""`python -m consumer`."""

import sys

from fanlight.consumer.cli import main

sys.exit(main())
