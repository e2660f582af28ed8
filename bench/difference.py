#!/usr/bin/python3
"""Differencing beside the prototypes and the FFTW floor, on the same input in the same run.

    bench/difference.py [--cases ABCDU] [--seeds 901,902,903] [--real rise,eso] [--sizes 1024,2048,4096]
                        [--astrid build/astrid] [--peers ../shared/peers/differencing] [--keep DIR]

Accuracy: simpair.py pairs of 2048 x 2048 px and real pairs with injections, through AstrID and both
numpy prototypes (which are given PSFEx models), judged by evaluate.py. Figures are means over seeds.
Speed: the subtract stage and the whole of `astrid run`, medians of three, and the FFTW floor.
"""
import argparse, json, os, re, statistics, subprocess, sys, tempfile, time

BARS = {'A': .87, 'B': .85, 'C': .86, 'D': .84, 'U': .84, 'rise': .82, 'eso': .89}
PYTHON = '/usr/bin/python3'


def run(*command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, **options).stdout


def make_pair(peers, name, seed, folder):
    if len(name) == 1:
        run(PYTHON, f'{peers}/simpair.py', '2048', name, folder, str(seed))
        run(PYTHON, f'{peers}/mkpsf.py', folder, stderr=subprocess.DEVNULL)
    else:
        run(PYTHON, f'{peers}/realpair.py', name, folder, str(seed), stderr=subprocess.DEVNULL)


def judge(peers, astrid, name, seed, folder):
    """{tool: figures} of one pair."""
    make_pair(peers, name, seed, folder)
    tools = {'astrid': [f'{peers}/run_astrid.py', folder, f'{folder}/astrid', astrid],
             'alz': [f'{peers}/run_alz.py', folder, f'{folder}/alz'],
             'zogyplus': [f'{peers}/run_zogyplus.py', folder, f'{folder}/zogyplus']}
    for tool, command in tools.items():
        run(PYTHON, *command)
    run(PYTHON, f'{peers}/evaluate.py', folder, *(f'{folder}/{tool}' for tool in tools))
    figures = json.load(open(f'{folder}/eval.json'))
    summary = json.load(open(f'{folder}/astrid/astrid/summary.json'))
    result = {tool: figures[f'{folder}/{tool}'] for tool in tools}
    for tool in tools:
        result[tool].update(json.load(open(f'{folder}/{tool}/run.json')))
    result['astrid']['stages'] = summary['stages']
    return result


def accuracy(options):
    print('Accuracy: means over seeds ' + ', '.join(map(str, options.seeds)))
    print(f'{"case":6}{"tool":10}{"FP>5":>6}{"FN>5":>6}{"C10":>7}{"bar":>6}{"bias %":>8}{"sigma":>7}'
          f'{"std/MAD":>8}{"S/N eff":>8}{"CPU s":>7}{"MB":>6}')
    shortfalls = []
    for name in list(options.cases) + options.real:
        runs = []
        for seed in options.seeds:
            with tempfile.TemporaryDirectory(dir=options.keep) as folder:
                runs.append(judge(options.peers, options.astrid, name, seed, folder))
        means = {}
        for tool in ('astrid', 'alz', 'zogyplus'):
            keys = ('fp5', 'fn5', 'c_all', 'bias', 'sig', 'std_over_mad', 'eff', 'cpu', 'rss_mb')
            means[tool] = {k: statistics.mean(r[tool][k] for r in runs) for k in keys}
            m = means[tool]
            print(f'{name:6}{tool:10}{m["fp5"]:6.1f}{m["fn5"]:6.1f}{m["c_all"]:7.3f}'
                  f'{BARS.get(name, float("nan")):6.2f}{100 * m["bias"]:8.1f}{m["sig"]:7.3f}'
                  f'{m["std_over_mad"]:8.3f}{m["eff"]:8.3f}{m["cpu"]:7.2f}{m["rss_mb"]:6.0f}',
                  flush=True)
        best = max(means['alz']['c_all'], means['zogyplus']['c_all'])
        ours = means['astrid']['c_all']
        if ours < BARS.get(name, 0):
            shortfalls.append(f'{name}: C10 {ours:.3f} of {BARS[name]:.2f}')
        if ours < best - .01:
            shortfalls.append(f'{name}: C10 {ours:.3f}, the better prototype {best:.3f}')
    print('\nPublished for this simulation (other seeds), C10 in A B C D U: HOTPANTS 5.1.11 .22 .66 .74 .00 .57,'
          '\n  SFFT 1.6 .84 .81 .85 .06 .72, PyZOGY .86 .83 .84 .72 .84, ZOGY (Vreeswijk) .86 .82 .84 .82 .82')
    print('short of a bar: ' + ('; '.join(shortfalls) if shortfalls else 'nothing'))


def fftw_floor(peers, folder):
    """CPU s of the 14 real FFTs of every tile at 2048^2, the best size, measured in this run."""
    program = f'{folder}/fftcost'
    run('gcc', '-O3', '-march=native', '-w', f'{peers}/c/fftcost.c', '-lfftw3f', '-lfftw3', '-lm', '-o', program)
    return min(float(x) for x in re.findall(r'borders: f32 ([0-9.]+) s', run(program)))


def speed(options):
    print('\nSpeed: medians of three runs; CPU s, peak MB')
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        floor = fftw_floor(options.peers, folder)
        print(f'{"side":>6}{"subtract s":>11}{"floor s":>9}{"ratio":>7}{"us/px":>8}{"MB":>6}{"run CPU s":>11}{"run wall s":>11}')
        for side in options.sizes:
            pair = f'{folder}/{side}'
            run(PYTHON, f'{options.peers}/simpair.py', str(side), 'A', pair, '901')
            stages, cpus, walls = [], [], []
            for _ in range(3):
                before = os.times()
                begin = time.time()
                run(options.astrid, 'run', f'{pair}/sci.fits', f'{pair}/ref.fits', '--science-mask',
                    f'{pair}/sci_mask.fits', '--reference-mask', f'{pair}/ref_mask.fits', '-o', f'{pair}/out')
                walls.append(time.time() - begin)
                after = os.times()
                cpus.append(after.children_user + after.children_system - before.children_user - before.children_system)
                stages.append(json.load(open(f'{pair}/out/summary.json'))['stages']['subtract'])
            cpu = statistics.median(s['cpu_s'] for s in stages)
            scaled = floor * (side / 2048) ** 2
            print(f'{side:6}{cpu:11.2f}{scaled:9.2f}{cpu / scaled:7.1f}{1e6 * cpu / side ** 2:8.3f}'
                  f'{statistics.median(s["peak_mb"] for s in stages):6.0f}{statistics.median(cpus):11.2f}'
                  f'{statistics.median(walls):11.2f}', flush=True)
    print('Published at 2048 (subtraction with ready PSFs): HOTPANTS 3.55 s/228 MB, ZOGY (Vreeswijk) 2.9/1276,'
          ' PyZOGY 40/1967, SFFT numpy 58-72/11275')


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cases', default='ABCDU')
    parser.add_argument('--seeds', default='901,902,903', type=lambda t: [int(x) for x in t.split(',')])
    parser.add_argument('--real', default='rise,eso', type=lambda t: [x for x in t.split(',') if x])
    parser.add_argument('--sizes', default='1024,2048,4096', type=lambda t: [int(x) for x in t.split(',') if x])
    parser.add_argument('--astrid', default=f'{here}/../build/astrid', type=os.path.abspath)
    parser.add_argument('--peers', default=f'{here}/../../shared/peers/differencing')
    parser.add_argument('--keep', help='folder for temporary files')
    options = parser.parse_args()
    if not os.path.isdir(options.peers):
        sys.exit(f'{options.peers}: the prototypes are not there; nothing to compare with')
    if options.cases or options.real:
        accuracy(options)
    if options.sizes:
        speed(options)


if __name__ == '__main__':
    main()
