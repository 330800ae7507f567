"""`make licenses`: list the licenses of the packages that Kammerton ships with or installs.

Reads the lock files, so that it lists exactly what `make install` and the images install.
"""

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

LOCKS = Path(__file__).parents[1] / "requirements"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)

# Words of licenses that an Apache-2.0 project can depend on. LGPL and MPL packages are separate, unmodified,
# replaceable packages: their licenses allow that.
_COMPATIBLE = re.compile(
    r"\b(MIT|MIT-0|MIT-CMU|BSD|[023]-?Clause|0BSD|Apache|ISC|ISCL|PSF|Python Software Foundation|Zlib|CC0"
    r"|Unlicense|MPL|Mozilla|LGPL|Lesser)\b|matplotlib|Kiwi|Dual License",
    re.IGNORECASE,
)
_INCOMPATIBLE = re.compile(
    r"\bA?GPL|Affero|SSPL|Server Side|Business Source|BUSL|Commons Clause|Elastic|NonCommercial|proprietary",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Package:
    """One locked package and the name of its license; None where it is not installed on this platform."""

    name: str
    version: str
    license: str | None

    @property
    def is_compatible(self) -> bool:
        """Whether an Apache-2.0 project may ship with it. Unknown licenses count as incompatible."""
        if self.license is None:
            return True
        parts = re.split(r"\s+OR\s+", self.license)
        return any(_COMPATIBLE.search(part) and not _INCOMPATIBLE.search(part) for part in parts)


def locked(lock: str) -> Iterator[Package]:
    """The packages of one lock file, such as `run` for requirements/run.txt."""
    for name, version in sorted(set(_PINNED.findall((LOCKS / f"{lock}.txt").read_text()))):
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another platform or Python version
            yield Package(name, version, None)
            continue
        if found.version == version:
            yield Package(name, version, license_of(found))


def license_of(package: Distribution) -> str:
    """The SPDX expression if it has one, else its license classifiers, else the first line of its license."""
    facts = package.metadata
    for expression in facts.get_all("License-Expression") or []:
        return str(expression)
    classifiers = [
        text.split(" :: ")[-1]
        for text in facts.get_all("Classifier") or []
        if text.startswith("License :: ") and text != "License :: OSI Approved"
    ]
    if classifiers:
        return " OR ".join(classifiers)
    text = "\n".join(facts.get_all("License") or []).strip() or "unknown"
    return text.splitlines()[0]


def main() -> int:
    """Print a table; 1 if a license is not compatible."""
    packages = list(locked("run"))
    for package in packages:
        mark = "" if package.is_compatible else "   <-- not compatible with Apache-2.0"
        print(f"{package.name:38} {package.version:14} {package.license or '(not on this platform)'}{mark}")
    return 0 if all(package.is_compatible for package in packages) else 1


if __name__ == "__main__":
    sys.exit(main())
