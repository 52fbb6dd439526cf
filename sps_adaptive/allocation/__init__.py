"""With which probability the next patient gets which arm."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.allocation.equal import Equal
from sps_adaptive.allocation.fixed import Fixed
from sps_adaptive.allocation.thompson import Thompson

AllocationKind = Annotated[Equal | Fixed | Thompson, Field(discriminator="kind")]

__all__ = ["AllocationKind", "Equal", "Fixed", "Thompson"]
