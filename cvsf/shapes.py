"""Array types and shape annotations: `Float[Array, "V J 2"]` is a float array of that shape.

The names are jaxtyping's for the type checker, and wherever jaxtyping was imported first: the test
suite does so, and checks every shape. Elsewhere nothing is checked, and `Float[Array, "V J 2"]` is
`Array`: importing jaxtyping costs 35 ms, a tenth of a camera node's start
(`python -X importtime -c "import capture.node, jaxtyping"`), most of it `unittest.mock`.
"""

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool as Bool
    from jaxtyping import Float as Float
    from jaxtyping import Int as Int
    from jaxtyping import Shaped as Shaped
    from jaxtyping import UInt8 as UInt8
else:

    class Shaped:
        """Any dtype; like the names below, it leaves the array's type as it is."""

        def __class_getitem__(cls, item: tuple[Any, str]) -> Any:
            """The type of `item`, without its shape."""
            return item[0]

    Bool = Float = Int = UInt8 = Shaped

Array = npt.NDArray[np.float32]
Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Index = npt.NDArray[np.intp]
Picture = npt.NDArray[np.uint8]
