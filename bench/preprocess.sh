#!/usr/bin/env bash
# Transients of raw nights against those of perfectly calibrated images: ./dev bench preprocess
exec /usr/bin/python3 "$(dirname "$0")/preprocess.py" "$@"
