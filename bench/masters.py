#!/usr/bin/python3
"""Calibration masters beside the peers, on the same fresh frames in the same run.

    bench/masters.py [--seed N] [--runs 3] [--astrid build/astrid] [--peers ../shared/peers/calibration]
                     [--keep DIR]

Frames: sim.py's 20 bias frames of 2048 x 2048 px with hits (part bias), and 10 biases, 5 darks, 5 flats
(part cal), of a new seed. Accuracy: rms against the truth, and the pull of the reported sigma.
Cost: CPU seconds and peak memory of whole processes, medians of the runs; one thread each.
"""
import argparse, glob, os, resource, statistics, subprocess, sys, tempfile, time

PYTHON = '/usr/bin/python3'


def measured(command, runs, before=None):
    """(CPU s of the process and its children, MB of the largest of them), medians."""
    cpu, memory = [], []
    for _ in range(runs):
        if before:
            before()
        started = resource.getrusage(resource.RUSAGE_CHILDREN)
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        if status:
            return float('nan'), float('nan')
        cpu.append(used.ru_utime + used.ru_stime)
        memory.append(used.ru_maxrss / 1024)
    return statistics.median(cpu), statistics.median(memory)


def remover(path):
    return lambda: os.path.exists(path) and os.remove(path)


def judge(path, truth, scale=1.0):
    """rms, and pull of the pixels that are not masked; NaN without a variance. In a process of its
    own: what starts the tools stays small, for their peak memory begins with that of their parent."""
    output = subprocess.run([PYTHON, '-c', JUDGE, path, truth, str(scale)], check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return tuple(map(float, output.split()))


JUDGE = '''
import sys, numpy as np
from astropy.io import fits
with fits.open(sys.argv[1]) as f:
    image = next(h.data for h in f if h.data is not None and h.data.ndim == 2).astype('f8')
    if image.max() <= 1.0 and 'PROGRAM' in f[0].header and 'Siril' in f[0].header['PROGRAM']:
        image *= 65535.0  # its unit
    difference = image - fits.getdata(sys.argv[2]).astype('f8') * float(sys.argv[3])
    pull = float('nan')
    if 'VARIANCE' in [h.name for h in f]:
        variance = f['VARIANCE'].data
        sound = (f['MASK'].data == 0) & (variance > 0)
        pull = np.sqrt(np.mean(difference[sound] ** 2 / variance[sound]))
    print(difference.std(), pull)
'''
CCDPROC = '''
import sys, glob, warnings; warnings.simplefilter('ignore')
import numpy as np, ccdproc
from astropy.io import fits
from astropy.stats import mad_std
clip = dict(sigma_clip=True, sigma_clip_low_thresh=5, sigma_clip_high_thresh=5,
            sigma_clip_func=np.ma.median, sigma_clip_dev_func=mad_std)
m = ccdproc.combine(sorted(glob.glob(sys.argv[1] + '/bias/*.fits')), unit='adu', mem_limit=350e6,
                    method=sys.argv[3], **(clip if sys.argv[3] == 'average' else {}))
fits.HDUList([fits.PrimaryHDU(m.data),
              fits.ImageHDU(m.uncertainty.array ** 2, name='VARIANCE'),
              fits.ImageHDU(np.zeros(m.data.shape, 'u1'), name='MASK')]).writeto(sys.argv[2], overwrite=True)
'''
ASTROPY = '''
import sys, glob, numpy as np
from astropy.io import fits
c = np.stack([fits.getdata(f).astype('f4') for f in sorted(glob.glob(sys.argv[1] + '/bias/*.fits'))])
if sys.argv[3] == 'clip':
    from astropy.stats import sigma_clip
    m = np.nanmean(sigma_clip(c, sigma=5, axis=0, masked=False, copy=False, cenfunc='median',
                              stdfunc='mad_std', maxiters=1), 0)
else:
    import bottleneck as bn
    m = bn.nanmedian(c, axis=0)
fits.PrimaryHDU(m).writeto(sys.argv[2], overwrite=True)
'''


def bias_tools(options, sim, out):
    """(name, command, output, which of the two combinations)."""
    peers, frames = options.peers, sorted(glob.glob(f'{sim}/bias/*.fits'))
    def astrid(how, threads='1'):
        path = f'{out}/astrid_{how}.fits'
        return [options.astrid, 'master', 'bias', *frames, '-o', path, '--combine', how, '--threads', threads], path
    yield 'AstrID', *astrid('clipped'), 'mean'
    yield 'Siril rej 5 5', [f'{peers}/run_siril_bias.sh', sim, 'rej 5 5', '1'], f'{sim}/siril_mbias.fit', 'mean'
    yield 'ccdproc', [PYTHON, '-c', CCDPROC, sim, f'{out}/ccdproc.fits', 'average'], f'{out}/ccdproc.fits', 'mean'
    yield 'astropy clip', [PYTHON, '-c', ASTROPY, sim, f'{out}/astropy.fits', 'clip'], f'{out}/astropy.fits', 'mean'
    yield 'gnuastro', [f'{peers}/run_gnuastro_stack.sh', sim, 'sigclip-mean', '1'], f'{sim}/gnu_sigclip-mean.fits', 'mean'
    yield 'AstrID', *astrid('median'), 'median'
    yield 'Siril med', [f'{peers}/run_siril_bias.sh', sim, 'med', '1'], f'{sim}/siril_mbias.fit', 'median'
    yield 'ccdproc', [PYTHON, '-c', CCDPROC, sim, f'{out}/ccdproc_m.fits', 'median'], f'{out}/ccdproc_m.fits', 'median'
    yield 'bottleneck', [PYTHON, '-c', ASTROPY, sim, f'{out}/bn.fits', 'median'], f'{out}/bn.fits', 'median'
    yield 'gnuastro', [f'{peers}/run_gnuastro_stack.sh', sim, 'median', '1'], f'{sim}/gnu_median.fits', 'median'


def bench_bias(options, sim, out):
    print('20 bias frames of 2048 x 2048 px')
    print(f'{"":8}{"":16}{"rms ADU":>9}{"pull":>7}{"CPU s":>8}{"MB":>7}{"AstrID/it":>11}')
    ours, shortfalls = {}, []
    for name, command, path, kind in bias_tools(options, sim, out):
        slow = name in ('ccdproc', 'astropy clip')
        cpu, memory = measured(command, 1 if slow else options.runs, remover(path))
        if cpu != cpu or not os.path.exists(path):
            print(f'{kind:8}{name:16} did not run')
            continue
        rms, pull = judge(path, f'{sim}/bias_truth.fits')
        ours.setdefault(kind, cpu)
        print(f'{kind:8}{name:16}{rms:9.4f}{pull:7.3f}{cpu:8.2f}{memory:7.0f}{ours[kind] / cpu:11.2f}', flush=True)
        if name == 'AstrID':
            bar = {'mean': 1.126, 'median': 1.374}[kind]
            if rms > bar:
                shortfalls.append(f'{kind}: rms {rms:.4f}, the bar is {bar}')
            if not .97 <= pull <= 1.03:
                shortfalls.append(f'{kind}: pull {pull:.3f}')
        if name.startswith('Siril') and kind == 'mean' and ours[kind] > .5 * cpu:
            shortfalls.append(f'CPU {ours[kind]:.2f} s, Siril {cpu:.2f} s')
    return shortfalls


def bench_set(options, sim, out):
    """Bias, dark, flat in turn, each from the ones before, and the gain."""
    import json
    print('\n10 biases, 5 darks of 300 s, 5 flats: AstrID\'s masters against the truth')
    masters = {k: f'{out}/{k}.fits' for k in ('bias', 'dark', 'flat')}
    uses = {'bias': [], 'dark': ['--bias', masters['bias']],
            'flat': ['--bias', masters['bias'], '--dark', masters['dark'], '--measure-gain']}
    truth = {'bias': ('cal_truth_bias', 1.0), 'dark': ('cal_truth_dark_eps', 1 / 1.5), 'flat': ('cal_truth_flat', 1.0)}
    shortfalls = []
    for kind, path in masters.items():
        frames = sorted(glob.glob(f'{sim}/cal/{kind}*.fits'))
        command = [options.astrid, 'master', kind, *frames, '-o', path, *uses[kind], '--threads', '1', '--json']
        cpu, memory = measured(command, options.runs, remover(path))
        os.remove(path)
        summary = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        rms, pull = judge(path, f'{sim}/{truth[kind][0]}.fits', truth[kind][1])
        print(f'{kind:8} rms {rms:.5f}  pull {pull:.3f}  {cpu:.2f} CPU s  {memory:.0f} MB', flush=True)
        if not .97 <= pull <= 1.03:
            shortfalls.append(f'master {kind}: pull {pull:.3f}')
    transfer = summary['photon_transfer']
    print(f'gain {transfer["gain"]:.4f} +- {transfer["gain_error"]:.4f} e-/ADU (truth 1.5), '
          f'read noise {transfer["read_noise_e"]:.3f} e- (truth 7.51 with the rounding)')
    return shortfalls


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=int(time.time()) % 100000 + 1000)
    parser.add_argument('--runs', type=int, default=3)
    parser.add_argument('--astrid', default='build/astrid')
    parser.add_argument('--peers', default='../shared/peers/calibration')
    parser.add_argument('--keep', help='folder for the frames')
    options = parser.parse_args()
    if not os.path.exists(f'{options.peers}/sim.py'):
        print(f'bench masters: {options.peers} is not there: nothing to compare with')
        return 0
    options.peers, options.astrid = os.path.abspath(options.peers), os.path.abspath(options.astrid)
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        print(f'seed {options.seed}; load {os.getloadavg()[0]:.1f}')
        subprocess.run([PYTHON, f'{options.peers}/sim.py', folder, f'seed={options.seed}', 'bias', 'cal'], check=True)
        shortfalls = bench_bias(options, folder, folder) + bench_set(options, folder, folder)
    print('short of a bar: ' + ('; '.join(shortfalls) if shortfalls else 'nothing'))
    return 0


if __name__ == '__main__':
    sys.exit(main())
