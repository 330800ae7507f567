"""`python -m worker FILE…`: analyse local files. `--healthcheck`: is this machine's worker healthy?"""

import argparse
import sys
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 if any file has a problem, or the worker is unwell."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Which pitch is a song tuned to?")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE")
    parser.add_argument("--start", type=float, metavar="SECONDS", help="where the window begins")
    parser.add_argument("--window", type=float, default=60.0, metavar="SECONDS", help="how much to hear (60)")
    parser.add_argument("--healthcheck", action="store_true", help="is the worker on this machine at work?")
    parser.add_argument("--plot", type=Path, metavar="OUT.png", help="draw spectrum and tuning of one FILE")
    options = parser.parse_args(arguments)
    # imported late: a health check must not pay for librosa
    if options.healthcheck:
        from worker.health.probe import check

        return check()
    if not options.files:
        parser.error("name at least one FILE")
    if options.plot and len(options.files) > 1:
        parser.error("--plot draws one FILE")
    from worker.analyze_files import analyze_files

    all_succeeded = analyze_files(
        options.files, start_seconds=options.start, window_seconds=options.window, plot=options.plot
    )
    return 0 if all_succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
