#!/usr/bin/env python3
"""Feed every parser and decoder with malformed input, guided by coverage (atheris)."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # A script sees its own folder, not the checkout.

_EPILOG = """\
Only documented errors may escape, no input may take more than a second of processor time, and memory may
not grow by more than 64 MiB once a tenth of the inputs has passed. What breaks that is left in --findings,
and `--replay FILE` runs it again. Exit codes: 0 all held, 1 something broke, 2 unusable arguments."""
_PACKAGES = ["fanlight", "pika.data", "pika.frame"]


def main() -> int:
    """Run `scripts/fuzz.py`; returns the exit code."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__, epilog=_EPILOG, allow_abbrev=False)
    parser.add_argument("--target", action="append", metavar="NAME", help="one of --list; all if left out")
    parser.add_argument("--list", action="store_true", help="name the targets and end")
    parser.add_argument("--runs", type=int, default=0, metavar="N", help="inputs for each target")
    parser.add_argument(
        "--seconds", type=int, default=0, metavar="S", help="likewise; 10 if neither is given"
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the first input (default: 1)")
    parser.add_argument("--findings", type=Path, default=Path("results/fuzz"), metavar="DIR")
    parser.add_argument(
        "--keep", action="store_true", help="put the smallest telling inputs into tests/corpus"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="run one input, without the fuzzer")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return _inside(options)
    names = _names()
    chosen = options.target or list(names)
    unknown = [name for name in chosen if name not in names]
    if unknown:
        parser.error(f"--target {unknown[0]!r} cannot be used: allowed is {', '.join(names)}")
    if options.list:
        print("\n".join(f"{name}{' (decoder)' if decoder else ''}" for name, decoder in names.items()))
        return 0
    # A process for each: what one does to memory is no other's.
    return 1 if [name for name in chosen if _outside(name, options)] else 0


def _names() -> dict[str, bool]:
    from scripts.fuzzing.targets import TARGETS

    return {target.name: target.decoder for target in TARGETS.values()}


def _outside(name: str, options: argparse.Namespace) -> int:
    seconds = options.seconds or (0 if options.runs else 10)
    limits = ["--runs", str(options.runs), "--seconds", str(seconds), "--seed", str(options.seed)]
    this = [sys.executable, __file__, "--inside", "--target", name, "--findings", str(options.findings)]
    if options.replay:
        return subprocess.call([*this, "--replay", str(options.replay)])
    with tempfile.TemporaryDirectory(prefix=f"fuzz-{name}-") as folder:
        found = Path(folder, "found")
        found.mkdir()
        environment = os.environ | {"FANLIGHT_FUZZ_FOUND": str(found)}
        options.findings.mkdir(parents=True, exist_ok=True)
        with Path(options.findings, f"{name}.log").open("w") as log:
            code = subprocess.call([*this, *limits], env=environment, stderr=log)
        if code:
            print(f"{name}: FAILED (exit code {code}); see {options.findings}/{name}*", flush=True)
        elif options.keep:
            from scripts.fuzzing import target
            from scripts.fuzzing.targets import TARGETS

            chosen = TARGETS[name]
            inputs = [*(file.read_bytes() for file in found.iterdir()), *target.kept(name)]
            print(
                f"{name}: {target.keep(name, target.telling(chosen.make(), inputs))} inputs kept",
                flush=True,
            )
    return code


def _inside(options: argparse.Namespace) -> int:
    import atheris

    with atheris.instrument_imports(include=_PACKAGES, enable_loader_override=False):
        from scripts.fuzzing.targets import TARGETS
    from scripts.fuzzing.meter import Meter
    from scripts.fuzzing.target import kept

    target = TARGETS[options.target[0]]
    run = target.make()
    if options.replay:
        run(options.replay.read_bytes())
        return 0
    found = os.environ.get("FANLIGHT_FUZZ_FOUND", "")
    flags = [f"-max_len={target.max_bytes}", f"-seed={options.seed}", "-rss_limit_mb=0", "-timeout=20"]
    flags += [f"-artifact_prefix={options.findings}/{target.name}-", "-verbosity=0"]
    for number, data in enumerate([*target.seeds(), *kept(target.name)]):
        Path(found, f"seed-{number}").write_bytes(data[: target.max_bytes])
    words = Path(found).with_name("words")
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    flags += [f"-dict={words}"] if target.words else []

    def slow(data: bytes) -> None:
        Path(options.findings, f"{target.name}-slowest").write_bytes(data)

    meter = Meter(target.name, run, options.runs // 10 or 20_000, slow)
    atheris.Setup([sys.argv[0], *flags, found], _ending(meter, options))
    atheris.Fuzz()
    return 1  # it never returns


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)


def _ending(meter: Any, options: argparse.Namespace) -> Any:
    def one(data: bytes) -> None:
        meter(data)
        done = meter.inputs >= options.runs if options.runs else False
        late = options.seconds and meter.inputs % 64 == 0 and meter.seconds >= options.seconds
        if done or late:
            figures = meter.figures()
            print("\n".join([str(figures), *(f"BROKEN: {wrong}" for wrong in figures.broken)]), flush=True)
            os._exit(1 if figures.broken else 0)

    return one


if __name__ == "__main__":
    sys.exit(main())
