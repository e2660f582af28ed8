#!/usr/bin/env bash
# Ranking on simulated truth, duplicates beside astropy and scipy: ./dev bench ranking [options of bench/ranking.py]
exec /usr/bin/python3 "$(dirname "$0")/ranking.py" "$@"
