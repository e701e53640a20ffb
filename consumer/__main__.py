"""`python -m consumer`, and the command `fanlight-consumer`."""

import sys

from fanlight.common.runtime import start


def main() -> int:
    """Run the command with the arguments of this process; returns the exit code."""
    return start.run("consumer", _run)


def _run() -> int:
    from fanlight.consumer import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
