#!/bin/sh
# `jobmanager` and `taskmanager` start that part of a cluster in the foreground; what follows are Flink's options, such as
# -Dname=value. Anything else is a command, as Flink's operator for Kubernetes gives it.
set -eu

case ${1:-} in
    jobmanager | taskmanager)
        part=$1
        shift
        exec "$FLINK_HOME/bin/$part.sh" start-foreground "$@"
        ;;
esac
exec "$@"
