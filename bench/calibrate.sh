#!/usr/bin/env bash
# Calibration and cosmic rays beside ccdproc and astroscrappy: ./dev bench calibrate [options of
# bench/calibrate.py]
exec /usr/bin/python3 "$(dirname "$0")/calibrate.py" "$@"
