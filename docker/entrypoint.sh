#!/bin/sh
# One image, two ways to run it:
#   IMAGE handler.handler          a Lambda function: the base image's contract, one argument
#   IMAGE worker [ARGUMENT...]     a worker that polls the function's queue
#   IMAGE worker health            whether that worker is well; the image's HEALTHCHECK
set -eu

if [ "${1:-}" != worker ]; then
  exec /lambda-entrypoint.sh "$@"
fi

if [ "${2:-}" = health ] && [ -z "${WORKER_QUEUE_URL:-}" ]; then
  exit 0 # not a worker: Lambda, or its emulator
fi
shift
# The base brings awslambdaric there; what the function pins itself comes first.
export PYTHONPATH="${LAMBDA_TASK_ROOT}:${PYTHONPATH:+$PYTHONPATH:}${LAMBDA_RUNTIME_DIR:-/var/runtime}"
export WORKER_HEALTH_FILE="${WORKER_HEALTH_FILE:-/tmp/worker-healthy}"
cd "$LAMBDA_TASK_ROOT"
if [ "${1:-}" = health ]; then
  # Not `-m services.worker health`: that would load all of the worker every few seconds.
  exec python -c 'import sys; from pathlib import Path; from services.worker import health
sys.exit(not health.fresh(Path(sys.argv[1])))' "$WORKER_HEALTH_FILE"
fi
exec python -m services.worker --function "$LAMBDA_TASK_ROOT" "$@"
