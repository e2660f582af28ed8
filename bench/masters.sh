#!/usr/bin/env bash
# Calibration masters beside Siril, ccdproc, astropy, bottleneck and gnuastro:
# ./dev bench masters [options of bench/masters.py]
exec /usr/bin/python3 "$(dirname "$0")/masters.py" "$@"
