#!/usr/bin/env bash
# Sky, seeing, depth and cosmic rays beside sep, SExtractor and photutils: ./dev bench quality
exec /usr/bin/python3 "$(dirname "$0")/quality.py" "$@"
