#!/bin/sh
# One image, two ways to run it:
#   IMAGE handler.handler          a Lambda function: the base image's contract, one argument
#   IMAGE worker [ARGUMENT...]     a worker that polls the function's queue, or serves its route
#   IMAGE worker health            whether that worker is well; the image's HEALTHCHECK
set -eu

if [ "${1:-}" != worker ]; then
  exec /lambda-entrypoint.sh "$@"
fi

export WORKER_HEALTH_FILE="${WORKER_HEALTH_FILE:-/tmp/worker-healthy}"
# Written when a worker starts, so that the healthcheck knows that there is one to be looked after.
started="$WORKER_HEALTH_FILE.expected"
if [ "${2:-}" = health ] && [ -z "${WORKER_QUEUE_URL:-}" ] && [ ! -e "$started" ]; then
  exit 0 # not a worker: Lambda, or its emulator
fi
shift
# The base brings awslambdaric there; what the function pins itself comes first.
export PYTHONPATH="${LAMBDA_TASK_ROOT}:${PYTHONPATH:+$PYTHONPATH:}${LAMBDA_RUNTIME_DIR:-/var/runtime}"
cd "$LAMBDA_TASK_ROOT"
if [ "${1:-}" = health ]; then
  # Not `-m services.worker health`: that would load all of the worker every few seconds.
  exec python -c 'import sys; from pathlib import Path; from services.runtime import health
sys.exit(not health.fresh(Path(sys.argv[1])))' "$WORKER_HEALTH_FILE"
fi
# Without a folder to write to there is no health file either.
( : > "$started" ) 2>/dev/null || true
exec python -m services.worker --function "$LAMBDA_TASK_ROOT" "$@"
