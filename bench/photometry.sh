#!/usr/bin/env bash
# Photometry at known positions beside SEP and photutils: ./dev bench photometry [options of bench/photometry.py]
exec /usr/bin/python3 "$(dirname "$0")/photometry.py" "$@"
