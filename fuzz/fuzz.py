"""Fuzz one of the targets, or all of them, with atheris (libFuzzer): what raises is written to a file, by name.

python fuzz/fuzz.py TARGET SECONDS [FILE]: with a file, run that input alone. What was found to be interesting stays in
`.fuzz/`, for the next run.
"""

import subprocess
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["btc_price_tracker", "json", "httptools"]):
    from targets import TARGETS, seeds

KEPT = Path(".fuzz")
MAX_LENGTH = 4096  # bytes of an input
TIMEOUT = 10  # seconds for one


def main() -> None:
    """Run the target that is named, or each in a process of its own."""
    name, seconds, *file = sys.argv[1:]
    if name == "all":
        sys.exit(max(_run(each, seconds) for each in TARGETS))
    corpus = KEPT / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(name)):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_LENGTH}", f"-timeout={TIMEOUT}"]
    options += [
        f"-artifact_prefix={KEPT}/{name}-",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, *(file or [str(corpus)])], TARGETS[name])
    atheris.Fuzz()


def _run(name: str, seconds: str) -> int:
    """The exit code of a target in a process of its own, since libFuzzer ends it."""
    print(f"== {name}", flush=True)
    return subprocess.run([sys.executable, __file__, name, seconds], check=False).returncode


if __name__ == "__main__":
    main()
