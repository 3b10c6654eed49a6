#!/usr/bin/env bash
# A Slurm job array: each of eight tasks judges every eighth text of a data set. If a task is lost or runs out of time, Slurm
# queues it again, and it resumes. First fetch the models once, into a folder that all machines can read:
#
#   WHOWROTE_CACHE=/shared/whowrote whowrote models pull
#   sbatch integrations/jobs/slurm.sh /shared/dump.parquet /shared/verdicts --text body --id key
#
#SBATCH --job-name=whowrote
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=6G
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
set -euo pipefail
texts=${1:?name the texts}
verdicts=${2:?name a folder for the verdicts, other than the folder of the texts}
shift 2
export WHOWROTE_CACHE=${WHOWROTE_CACHE:-/shared/whowrote}
mkdir -p "$verdicts"
# The number of shards is the number of tasks in the array, even if only some tasks run again.
of=8
# It runs in the background, so that the trap can pass on the signal. The program then finishes its current pass.
whowrote batch "$texts" --shard "$SLURM_ARRAY_TASK_ID/$of" --offline --threads "${SLURM_CPUS_PER_TASK:-1}" --memory 4GiB "$@" \
    -o "$verdicts/part-$SLURM_ARRAY_TASK_ID-of-$of.jsonl" &
batch=$!
trap 'kill -TERM "$batch"; wait "$batch" || scontrol requeue "$SLURM_JOB_ID"; exit 0' TERM
wait "$batch"
