"""`python -m producer`, and the command `fanlight-producer`."""

import sys

from fanlight.common.runtime import start


def main() -> int:
    """Run the command with the arguments of this process; returns the exit code."""
    return start.run("producer", _run)


def _run() -> int:
    from fanlight.producer import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
