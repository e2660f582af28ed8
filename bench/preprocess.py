#!/usr/bin/python3
"""A night from raw frames to candidates, and what calibration costs them.

    bench/preprocess.py [--seed N] [--nights 5] [--size 1024] [--astrid build/astrid] [--keep DIR]

Each night is simulated anew. Its raw science frame goes through `astrid preprocess` and then against
the reference; science.fits, the same sky as a perfect camera would have seen it, goes against the
reference as it is. Both are compared with the truth. Completeness counts every change above 5 sigma
of the ideal difference. Cost: CPU seconds and peak memory of `astrid preprocess`, at one and at two
threads, whose results must be the same bytes.
"""
import argparse, filecmp, json, os, resource, shutil, subprocess, sys, tempfile, time


def run(*words, **more):
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, **more).stdout


def measured(*words):
    """(CPU s with children, wall s, MB)"""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    child = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(' '.join(words) + ': failed')
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.monotonic() - start, used.ru_maxrss / 1024


def same_files(one, other):
    for folder, _, names in os.walk(one):
        for name in names:
            path = os.path.join(folder, name)
            twin = os.path.join(other, os.path.relpath(path, one))
            if name != 'timing.json' and not filecmp.cmp(path, twin, shallow=False):
                return False
    return True


def counts(comparison):
    transients = [b for b in comparison['bins'] if b['kind'] == 'transient' and b['snr_low'] >= 5]
    return (comparison['due'], comparison['found'], sum(b['there'] for b in transients),
            sum(b['found'] for b in transients), comparison['spurious'])


def one_night(astrid, folder, seed, size):
    night = os.path.join(folder, f'night{seed}')
    run(astrid, 'simulate', '-o', night, '--seed', str(seed), '--size', str(size), '--raw', '5',
        '--raw-science', '2')
    out = [night + '_one', night + '_two']
    cost = [measured(astrid, 'preprocess', night + '/raw', '-o', out[k], '--threads', str(k + 1))
            for k in range(2)]
    if not same_files(*out):
        sys.exit(f'seed {seed}: one thread and two give different bytes')
    found = []
    for name, image in (('calibrated', out[0] + '/frames/science_1.fits'),
                        ('perfect', night + '/science.fits')):
        candidates = f'{night}_{name}'
        run(astrid, 'run', image, night + '/reference.fits', '-o', candidates)
        found.append(counts(json.loads(run(astrid, 'compare', candidates, night, '--json'))))
    for path in (night, *out, night + '_calibrated', night + '_perfect'):
        shutil.rmtree(path)
    return found, cost


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--seed', type=int, default=int(time.time()) % 100000)
    parser.add_argument('--nights', type=int, default=5)
    parser.add_argument('--size', type=int, default=1024)
    parser.add_argument('--astrid', default='build/astrid')
    parser.add_argument('--keep')
    options = parser.parse_args()
    folder = options.keep or tempfile.mkdtemp(prefix='astrid_bench_')
    os.makedirs(folder, exist_ok=True)
    sums, costs = [[0] * 5, [0] * 5], []
    print(f'{options.nights} nights of {options.size} x {options.size} px, seeds from {options.seed}: '
          '17 raw frames each')
    for k in range(options.nights):
        found, cost = one_night(options.astrid, folder, options.seed + k, options.size)
        sums = [[a + b for a, b in zip(s, f)] for s, f in zip(sums, found)]
        costs.append(cost)
    print(f'{"":24s} {"changes":>8s} {"found":>6s} {"":>7s} {"transients":>11s} {"found":>6s} {"":>7s} '
          f'{"false":>6s}')
    for name, (due, hits, there, seen, spurious) in zip(('raw, preprocessed', 'perfect camera'), sums):
        print(f'{name:24s} {due:8d} {hits:6d} {hits / due:7.3f} {there:11d} {seen:6d} '
              f'{seen / there:7.3f} {spurious:6d}')
    for threads in range(2):
        cpu, wall, memory = (sorted(c[threads][i] for c in costs)[len(costs) // 2] for i in range(3))
        print(f'astrid preprocess, {threads + 1} thread{"s" if threads else " "}: '
              f'{cpu:.2f} CPU s, {wall:.2f} s, {memory:.0f} MB (medians)')
    if not options.keep:
        shutil.rmtree(folder)


main()
