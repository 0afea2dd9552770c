"""What training reads from the feature store, as known at the moment that each row is of.

Of the inputs of models that is riders_on_device_28d: a version holds until the phone's next one, whatever moment and
zone are asked about. Baselines and the pattern of shifts are measured directly: theirs end at each claim's own anchor,
where a version is of the end of the rider's last pane, and rest on the claim's zone.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from monsoon.feature_store.measured import device_riders
from monsoon.feature_store.offline import OfflineStore, get
from monsoon.transforms.evidence.device import Measured
from monsoon.transforms.evidence.ragged import Ints
from monsoon.transforms.guard.signals import RIDERS_ON_DEVICE
from monsoon.transforms.panes import Panes
from monsoon.transforms.telemetry_table import TelemetryTable


def stored_riders(store: OfflineStore, telemetry: TelemetryTable, panes: Panes) -> Callable[[Ints, Ints], Measured]:
    """Puts the versions of all phones into the store; gives what reads them, as `DeviceDays.riders` counts: of phones
    (codes, -1 = none) and moments (ms) the riders, and 1 for the reports, which the store does not have."""
    store.write(device_riders(telemetry, panes))

    def riders(device: Ints, decided_at_ms: Ints) -> Measured:
        ids = [telemetry.devices[code] if code >= 0 else "" for code in device.tolist()]
        found = get("device", [RIDERS_ON_DEVICE], decided_at_ms.tolist(), ids=ids, store=store)[RIDERS_ON_DEVICE]
        # The row's own rider is one of them, also where no pane of theirs is over yet.
        count = np.fmax(found.fill_null(np.nan).to_numpy(), 1.0)
        return np.where(device >= 0, count, np.nan), (device >= 0).astype(np.int64)

    return riders
