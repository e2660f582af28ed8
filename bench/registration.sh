#!/usr/bin/env bash
# Registration and resampling beside SWarp, reproject and astroalign: ./dev bench registration [options of bench/registration.py]
exec /usr/bin/python3 "$(dirname "$0")/registration.py" "$@"
