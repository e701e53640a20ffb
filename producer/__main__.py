"""`python -m producer`, and the command `fanlight-producer`."""

import sys

from fanlight.common.runtime import start


def main() -> int:
    """Run the command with the arguments of this process; returns the exit code."""
    start.prepare()
    # Imported late: a signal while modules are loaded is an orderly end, too.
    from fanlight.common.runtime import argv

    argv.hide_secrets()
    from fanlight.producer import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
