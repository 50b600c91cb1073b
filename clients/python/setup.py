"""Takes bulkhead.h, which the repository keeps in include/, into the package: the ring reader compiles it on
the machine where it runs. Everything else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
HEADER = HERE.parent.parent / "include" / "bulkhead.h"


class BuildWithHeader(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            shutil.copyfile(HEADER, Path(self.build_lib) / "bulkhead" / "bulkhead.h")


setup(cmdclass={"build_py": BuildWithHeader})
