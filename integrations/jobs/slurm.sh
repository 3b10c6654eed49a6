#!/usr/bin/env bash
# A Slurm job array: each of eight tasks judges every eighth text of a dump. A task that is lost or runs out of time is queued
# again and goes on where it stopped. Fetch the models once before, into a folder that all machines see:
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
texts=${1:?the texts}
verdicts=${2:?a folder for the verdicts, which is not that of the texts}
shift 2
export WHOWROTE_CACHE=${WHOWROTE_CACHE:-/shared/whowrote}
mkdir -p "$verdicts"
# As many shards as the array has tasks, whichever of them are run again.
of=8
# In the background, so that the signal reaches the program through the trap: it finishes the pass under way.
whowrote batch "$texts" --shard "$SLURM_ARRAY_TASK_ID/$of" --offline --threads "${SLURM_CPUS_PER_TASK:-1}" --memory 4GiB "$@" \
    -o "$verdicts/part-$SLURM_ARRAY_TASK_ID-of-$of.jsonl" &
batch=$!
trap 'kill -TERM "$batch"; wait "$batch" || scontrol requeue "$SLURM_JOB_ID"; exit 0' TERM
wait "$batch"
