"""structlog without rich, pygments and attrs, which it loads for tracebacks that we never draw.

They are 6 MB and a quarter of a second in each process of a node. Imported first by whoever starts
a process; where structlog or rich is loaded already, nothing is changed.
"""

import sys

if "structlog" in sys.modules or "rich" in sys.modules:
    import structlog
else:
    sys.modules["rich"] = None  # type: ignore[assignment]  # None: not to be found, says Python
    try:
        import structlog
    finally:
        del sys.modules["rich"]

__all__ = ["structlog"]
