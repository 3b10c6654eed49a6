"""The peer of equal_work.rs: llama.cpp with logits at every position, in windows of 512 tokens, on two threads.

The first input line has the token ids. Each further line asks for one round; the answer is its time in seconds.
"""

import sys
import time

from llama_cpp import Llama

WINDOW = 512
llm = Llama(
    sys.argv[1], logits_all=True, n_ctx=WINDOW, n_batch=WINDOW, n_ubatch=WINDOW,
    n_threads=2, n_threads_batch=2, verbose=False,
)
ids = [int(word) for word in sys.stdin.readline().split()]


def windows(count):
    start = time.perf_counter()
    for at in range(0, count, WINDOW):
        llm.reset()
        llm.eval(ids[at:at + WINDOW])
    return time.perf_counter() - start


print(windows(WINDOW), flush=True)
for _ in sys.stdin:
    print(windows(len(ids)), flush=True)
