"""What ends a command, as one line and an exit status; never a traceback for an operator's mistake.

0 all good · 1 failures · 2 usage · 3 store or settings
"""

from collections.abc import Iterator
from contextlib import contextmanager

from tallygate.cli.fault import FAILED, STORE_OR_SETTINGS, USAGE, Fault
from tallygate.config import BadSettings
from tallygate.core.errors import Refusal, StoreRefused, StoreUnavailable
from tallygate.core.sealing import Unsealable
from tallygate.store.maintenance import MaintenanceRefused
from tallygate.store.quota_proxy_file import NotAQuotaProxyFile
from tallygate.supervisor.failure import Failure

__all__ = ["FAILED", "STORE_OR_SETTINGS", "USAGE", "Fault", "as_faults"]


@contextmanager
def as_faults() -> Iterator[None]:
    """Translate what the layers below raise when the operator, not the program, is at fault."""
    try:
        yield
    except (BadSettings, StoreRefused, Unsealable, Failure) as error:
        raise Fault(str(error), STORE_OR_SETTINGS) from error
    except StoreUnavailable as error:
        raise Fault(f"the store does not answer: {error}", STORE_OR_SETTINGS) from error
    except Refusal as refusal:
        raise Fault(refusal.message) from refusal
    except (MaintenanceRefused, NotAQuotaProxyFile) as error:
        raise Fault(str(error)) from error
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        raise Fault(f"{what}{error.strerror or error}") from error
