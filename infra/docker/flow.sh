#!/bin/sh
# Runs the flow as one process: flow.sh RECOVERY_DIRECTORY
# The store is made on the first start; later starts resume from it.
set -eu

directory=$1
if [ ! -e "$directory/part-0.sqlite3" ]; then
  # Several partitions, so that the flow can be spread over more processes later.
  python -m bytewax.recovery "$directory" 4
fi
# Any value, even 0, makes Bytewax serve its state on all interfaces without a password.
unset BYTEWAX_DATAFLOW_API_ENABLED
# The epoch of 1 s is also the unit of back-pressure; no extra snapshots are kept.
exec python -m bytewax.run dataflows.sentiment -r "$directory" -s 1 -b 0
