#!/usr/bin/env bash
# Differencing beside the prototypes: ./dev bench difference [options of bench/difference.py]
exec /usr/bin/python3 "$(dirname "$0")/difference.py" "$@"
