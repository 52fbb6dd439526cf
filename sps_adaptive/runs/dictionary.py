"""The data dictionary of a run, as a text that lies beside the tables."""

from __future__ import annotations

from sps_adaptive.scenario import BLOCK_SIZE
from sps_adaptive.tables import DICTIONARY

_ABOUT = {
    "trials": "One row for each simulated trial.",
    "looks": "One row for each look that took place, and one for the final analysis, of each trial.",
    "arms": "One row for each arm at each of these looks.",
    "secondaries": "One row for each arm and each endpoint beside the primary one, at the final analysis; only where "
    "there are several endpoints.",
}

_HEAD = f"""# The tables of this run

Each folder (`trials`, `looks`, `arms`, `secondaries`) is one table, in one Parquet file for each truth
and {BLOCK_SIZE} replicates:

```python
import pandas as pd
trials = pd.read_parquet("trials")
```

`truth`, `design` and `replicate` name a trial in all three tables, `look` a look, `arm` an arm. The same replicate has
the same patients in every truth and design. The folder `sums` holds what the operating characteristics are
computed from; it can be made again from the tables. `manifest.json` says how the run came about.
"""


def data_dictionary() -> str:
    """Return the meaning of every column of every table, in Markdown."""
    return "\n".join([_HEAD, *(_section(table) for table in DICTIONARY)])


def _section(table: str) -> str:
    rows = [f"| `{c.name}` | {c.dtype} | {c.unit} | {c.meaning} |" for c in DICTIONARY[table]]
    head = [f"## {table}", "", _ABOUT[table], "", "| column | type | unit | meaning |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])
