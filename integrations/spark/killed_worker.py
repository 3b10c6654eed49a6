"""Judges a Parquet file on four workers, kills one of them half way, and writes the rows as JSON lines.

    killed_worker.py IN.parquet OUT.jsonl PROGRAM ARGUMENTS...

tests/whowrote/tools/spark.rs compares the rows with those that one process writes.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time

from pyspark.sql import SparkSession

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from whowrote_spark import judge  # noqa: E402

source, target, program, *arguments = sys.argv[1:]


def executors():
    """The process ids of the workers."""
    found = subprocess.run(["pgrep", "-f", "CoarseGrainedExecutorBackend"], capture_output=True, text=True).stdout
    own = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True).stdout.split()
    below, grown = set(own), True
    while grown:
        more = subprocess.run(["pgrep", "-P", ",".join(below)], capture_output=True, text=True).stdout.split()
        grown = not below.issuperset(more)
        below.update(more)
    return [int(process) for process in found.split() if process in below]


def kill_one():
    """Kills a worker as soon as the program judges texts."""
    while not subprocess.run(["pgrep", "-f", f"{program} batch -"], capture_output=True).stdout:
        time.sleep(0.05)
    time.sleep(1.5)
    victim = executors()[0]
    os.kill(victim, signal.SIGKILL)
    print(f"killed worker {victim}", flush=True)


# The workers use the Python that runs this script.
os.environ["PYSPARK_PYTHON"] = sys.executable
spark = (
    SparkSession.builder.master("local-cluster[4,1,1024]")
    .config("spark.executor.memory", "1g")
    .config("spark.ui.enabled", "false")
    .config("spark.executorEnv.PYTHONPATH", os.path.dirname(os.path.abspath(__file__)))
    .getOrCreate()
)
killer = threading.Thread(target=kill_one, daemon=True)
killer.start()
texts = spark.read.parquet(source).repartition(8)
rows = judge(texts, text="body", id="key", program=program, arguments=arguments).collect()
killer.join(timeout=0)
if killer.is_alive():
    sys.exit("the work was done before a worker could be killed")
with open(target, "w") as out:
    for row in rows:
        out.write(json.dumps(row.asDict()) + "\n")
spark.stop()
