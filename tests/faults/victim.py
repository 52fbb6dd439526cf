"""A run in a process of its own, to be interrupted, killed or measured.

python -m tests.faults.victim FOLDER REPLICATES WORKERS SECONDS_A_BLOCK [FOLDER_OF_PROCESS_NUMBERS]
"""

import json
import resource
import sys
from functools import partial

from sps_adaptive.runs.run import simulate
from tests.runs.fakes import a_scenario, slow_block, with_block

if __name__ == "__main__":
    folder, replicates, workers, seconds, *marks = sys.argv[1:]
    work = with_block(slow_block, float(seconds), *(marks or [""]))
    report = partial(print, flush=True)
    try:
        simulate(
            a_scenario(), replicates=int(replicates), workers=int(workers), output=folder, work=work, progress=report
        )
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
    print(json.dumps({"peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
