#!/usr/bin/env bash
# Extraction beside SExtractor, SEP and photutils: ./dev bench extraction [options of bench/extraction.py]
exec /usr/bin/python3 "$(dirname "$0")/extraction.py" "$@"
