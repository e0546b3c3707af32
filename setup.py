"""Puts the protoset, which lies beside the generated packages and in none of them, into the wheel beside them."""

from __future__ import annotations

from pathlib import Path
from shutil import copy2

from setuptools import setup
from setuptools.command.build_py import build_py


class WithProtoset(build_py):
    """The packages, and the contracts they were generated from."""

    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            copy2("gen/plaudit.protoset", Path(self.build_lib, "plaudit.protoset"))


setup(cmdclass={"build_py": WithProtoset})
