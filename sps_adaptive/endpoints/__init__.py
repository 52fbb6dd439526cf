"""What is measured, and how it comes about."""

from typing import Annotated

from pydantic import Field

from sps_adaptive.endpoints.binary import Binary
from sps_adaptive.endpoints.continuous import Continuous

EndpointKind = Annotated[Binary | Continuous, Field(discriminator="kind")]

__all__ = ["Binary", "Continuous", "EndpointKind"]
