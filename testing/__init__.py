"""A testing kit for authors of products: a clock that only the test moves, scripted records, the claims that result.

Belongs here: what somebody needs who tests a product file of his own with pytest, on the local engine, decided as a
replay decides; the harness that runs all operators in one process. Does not: what only the project's own tests need
(tests/kit). Nothing but tests and benches imports this.

docs/products.md, "Testing a product", has an example.
"""

from monsoon.testing.clock import Clock as Clock
from monsoon.testing.scenario import Result as Result
from monsoon.testing.scenario import Scenario as Scenario
