"""Run while the worker's image is built: to fill numba's cache, then to see that a start compiles nothing."""

import sys

from numba.core import event


def main() -> None:
    """Start as a worker does; with `--check`, exit with a sentence if that compiled anything."""
    with event.install_recorder("numba:compile") as compiled:
        from worker.warm_up import warm_up

        warm_up()
    if "--check" in sys.argv and compiled.buffer:
        sys.exit(f"numba compiled {len(compiled.buffer)} times at start: its cache in the image is no use")


if __name__ == "__main__":
    main()
