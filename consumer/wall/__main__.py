"""`python -m consumer.wall`, and the command `fanlight-wall`."""

import sys

from fanlight.common.runtime import start


def main() -> int:
    """Run the command with the arguments of this process; returns the exit code."""
    return start.run("wall", _run, packages="'.[wall]'")


def _run() -> int:
    from fanlight.consumer.wall import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
