"""A library on a framework: an adapter has its functions as one more variant, and the rest as the framework has it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Mapping

from lossparity.framework import Implementation, Phrases

__all__ = ["Library"]


if TYPE_CHECKING:

    class _Adapter:
        """What `Library` adds to; at run time it is the framework's own adapter, which comes after it."""

        def pin(self) -> Mapping[str, str]:
            raise NotImplementedError

        def describe(self) -> Mapping[str, str]:
            raise NotImplementedError

        @property
        def phrases(self) -> Phrases:
            raise NotImplementedError

        @property
        def implementations(self) -> Mapping[str, Implementation]:
            raise NotImplementedError

else:
    _Adapter = object


class Library(_Adapter):
    """The first base of an adapter whose last one is the framework's.

    `library` is its package and the name of its variant, `version` its version, `imported` the statement by which a
    script imports it, `functions` what it has of the spec's operations.
    """

    library: ClassVar[str]
    version: ClassVar[str]
    imported: ClassVar[str]
    functions: ClassVar[Implementation]

    def describe(self) -> Mapping[str, str]:
        """Return the versions of both, the device and the traits."""
        return {**super().describe(), self.library: self.version}

    @property
    def phrases(self) -> Phrases:
        """How calls are written as a script."""
        own = super().phrases
        version = f'{own.version}, "{self.library}", {self.library}.__version__'
        return replace(own, imports=(*own.imports, self.imported), version=version)

    @property
    def implementations(self) -> Mapping[str, Implementation]:
        """The library's variant beside those of the framework."""
        return {**super().implementations, self.library: self.functions}
