"""A polygon that several threads meet at once: operators that share a worker have one cache."""

import subprocess
import sys

PROGRAM = """
import threading
import numpy as np
from monsoon.transforms.geo.areas import area_of, may_meet

THREADS, POLYGONS = 4, 200
lat, lon, radius_km = np.full(50, 28.6), np.linspace(77.0, 77.4, 50), np.full(50, 1.0)
turns = np.linspace(0, 6.28, 400)[:-1]
together, found = threading.Barrier(THREADS), set()

def meet():
    for number in range(POLYGONS):
        corners = [f"{77.2 + 0.2 * np.cos(turn):.6f} {28.6 + 0.2 * np.sin(turn) + number * 1e-6:.6f}" for turn in turns]
        area = area_of({"wkt": f"POLYGON(({', '.join([*corners, corners[0]])}))"})
        together.wait()
        found.add(may_meet(area, lat, lon, radius_km).tobytes())

threads = [threading.Thread(target=meet) for _ in range(THREADS)]
for each in threads:
    each.start()
for each in threads:
    each.join()
print(len(found))
"""


def test_threads_may_meet_a_polygon_at_once():
    """Were it prepared, GEOS would end the process within the first hundred or so."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= 1
