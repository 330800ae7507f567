"""`python -m cli`: the `kammerton` command, without the script that `make install` writes."""

from cli.main import run

if __name__ == "__main__":
    run()
