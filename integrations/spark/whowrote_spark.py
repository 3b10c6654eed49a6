"""Runs whowrote over a Spark DataFrame: each row with a text gives a row with its verdict.

    from whowrote_spark import judge
    texts = spark.read.parquet("texts.parquet").repartition(64)
    judge(texts, text="body", id="key").write.parquet("verdicts.parquet")

Each partition goes to one process of `whowrote batch`, which loads the models once. So partitions of a few thousand texts are
best. Nothing of a partition counts until it is complete: if a worker is lost, Spark runs its partitions again, and no text is
lost or comes twice. The program and the models' cache must be on every machine of the cluster (`whowrote models pull`). The
workers of a machine share the cache.
"""

import json
import subprocess
import threading

SCHEMA = "id string, verdict string, authors array<string>, report string"
"""The columns of the result: `report` is the whole JSON of docs/OUTPUT.md."""

ROWS = 256
"""How many rows are passed on at a time."""


def judge(frame, text="text", id="id", program="whowrote", arguments=()):
    """One row of SCHEMA for each row of `frame`.

    `text` and `id` are columns of `frame`. `arguments` are further arguments for `whowrote batch`, such as
    `("--offline", "--threads", "1")`. Spark runs one partition per core at the same time, so one thread each is best, unless
    `spark.task.cpus` says otherwise.

    A text that could not be judged has the verdict `unable`, and its report says why. If the program fails, the task fails too,
    and the program's message is on the worker's standard error.
    """
    command = [program, "batch", "-", "--input-format", "jsonl", "--quiet", "--text", "text", "--id", "id", *arguments]
    rows = frame.select(frame[id].cast("string").alias("id"), frame[text].cast("string").alias("text"))
    return rows.mapInPandas(lambda batches: _verdicts(batches, command), SCHEMA)


def _verdicts(batches, command):
    import pandas

    first = next(batches, None)
    while first is not None and first.empty:
        first = next(batches, None)
    if first is None:
        return
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    feeder = _Feeder(first, batches, process.stdin)
    feeder.start()
    try:
        rows = []
        judged = 0
        for line in process.stdout:
            report = json.loads(line)
            rows.append((report["input"].get("id"), report["verdict"], report["authors"], line.decode().rstrip("\n")))
            judged += 1
            if len(rows) == ROWS:
                yield pandas.DataFrame(rows, columns=["id", "verdict", "authors", "report"])
                rows = []
        feeder.join()
        if feeder.failed is not None:
            raise feeder.failed
        status = process.wait()
        if status != 0 or judged != feeder.fed:
            judged = f"{judged} of {feeder.fed} texts"
            raise RuntimeError(f"{command[0]} ended with {status} after {judged}; standard error says why")
        if rows:
            yield pandas.DataFrame(rows, columns=["id", "verdict", "authors", "report"])
    finally:
        # A cancelled task leaves no process behind.
        process.kill()
        process.wait()


class _Feeder(threading.Thread):
    """Writes texts while the caller reads verdicts, so that full pipes cannot block both."""

    def __init__(self, first, batches, pipe):
        super().__init__(daemon=True)
        self.first, self.batches, self.pipe = first, batches, pipe
        self.fed, self.failed = 0, None

    def run(self):
        try:
            self.feed(self.first)
            for batch in self.batches:
                self.feed(batch)
            self.pipe.close()
        except BrokenPipeError:
            pass  # The program has ended, and its status says why.
        except Exception as error:  # An error of Spark's own while it reads the partition.
            self.failed = error
            try:
                self.pipe.close()
            except BrokenPipeError:
                pass

    def feed(self, batch):
        for id, text in zip(batch["id"], batch["text"]):
            # A missing text cannot be judged, but it still gets a row.
            line = json.dumps({"id": id, "text": text if isinstance(text, str) else None}, ensure_ascii=False)
            self.pipe.write(line.encode() + b"\n")
            self.fed += 1
        self.pipe.flush()
