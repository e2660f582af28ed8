#!/usr/bin/python3
"""Extraction beside SExtractor, SEP and photutils, on the same simulated frames in the same run.

    bench/extraction.py [--seed N] [--astrid build/astrid] [--peers ../shared/peers/calibration] [--keep DIR]

Isolated stars of known S/N and a frame of noise alone: completeness within 3 px, false sources,
positions against Cramer-Rao, fluxes within 6 px. Crowded fields: completeness and purity within
2.5 px, one star a source, CPU seconds and peak memory of the whole program.
"""
import argparse, json, os, resource, subprocess, sys, tempfile, time

try:
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table
    from scipy.spatial import cKDTree
    import sep
except ImportError as missing:
    print(f'extraction: {missing}; ./dev setup installs it')
    sys.exit(0)

PYTHON = '/usr/bin/python3'
SIGMA = 3.5 / 2.354820045
SHARE = '/usr/share/source-extractor'


def measure(command):
    """CPU s, peak MB and wall s of a process and those that it waits for."""
    begin = time.perf_counter()  # a small process in between: a forked copy of this one would count as memory
    watch = ('import os, sys, resource as r\nstatus = os.spawnvp(os.P_WAIT, sys.argv[1], sys.argv[1:])\n'
             'u = r.getrusage(r.RUSAGE_CHILDREN)\nprint("USED", u.ru_utime + u.ru_stime, u.ru_maxrss)\nsys.exit(status)')
    done = subprocess.run([PYTHON, '-S', '-c', watch, *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f'{" ".join(command)}: {done.stderr}')
    cpu, memory = done.stdout.split('USED')[1].split()[:2]
    return float(cpu), float(memory) / 1024, time.perf_counter() - begin


def by_astrid(options, image, extra=()):
    out = f'{options.folder}/astrid.fits'
    cost = measure([options.astrid, 'extract', image, '-o', out, '--aperture', '6', *extra])
    t = Table.read(out, hdu=1)
    column = lambda name: np.ma.filled(np.ma.asarray(t[name], dtype=float), np.nan)
    return dict(x=column('x') - 1, y=column('y') - 1, flux=column('flux'), err=column('flux_err'),
                auto=column('flux_auto'), cost=cost)


def by_sextractor(options, image, threshold, kernel, parameters='se.param'):
    out = f'{options.folder}/se.fits'
    cost = measure(['source-extractor', image, '-c', '/dev/null', '-PARAMETERS_NAME',
                    f'{options.peers}/{parameters}', '-FILTER_NAME', f'{SHARE}/{kernel}.conv',
                    '-STARNNW_NAME', f'{SHARE}/default.nnw', '-CATALOG_TYPE', 'FITS_1.0',
                    '-CATALOG_NAME', out, '-DETECT_THRESH', str(threshold), '-ANALYSIS_THRESH',
                    str(threshold), '-DETECT_MINAREA', '5', '-PHOT_APERTURES', '12', '-GAIN', '1.5',
                    '-MEMORY_PIXSTACK', '3000000', '-MEMORY_OBJSTACK', '30000', '-VERBOSE_TYPE',
                    'QUIET'])
    t = Table.read(out)
    if 'XWIN_IMAGE' not in t.colnames:
        return dict(x=np.asarray(t['X_IMAGE']) - 1, y=np.asarray(t['Y_IMAGE']) - 1, cost=cost)
    return dict(x=np.asarray(t['XWIN_IMAGE']) - 1, y=np.asarray(t['YWIN_IMAGE']) - 1,
                flux=np.asarray(t['FLUX_APER'], float), err=np.asarray(t['FLUXERR_APER'], float),
                auto=np.asarray(t['FLUX_AUTO'], float), cost=cost)


def by_sep(options, image):
    """libsep as its users call it, with the convolution that keeps real sources."""
    begin = time.process_time()
    data = fits.getdata(image).astype('f4')
    level = sep.Background(data)
    data = data - level
    sep.set_extract_pixstack(5000000)
    found = sep.extract(data, 1.5, err=level.rms(), filter_type='conv')
    x, y, _ = sep.winpos(data, found['x'], found['y'], np.full(len(found), SIGMA))
    flux, err, _ = sep.sum_circle(data, x, y, 6., err=level.rms(), gain=1.5)
    cpu = time.process_time() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return dict(x=x, y=y, flux=flux, err=err, auto=flux, cost=(cpu, memory, cpu))


def by_photutils(options, image):
    from photutils.background import Background2D, MedianBackground
    from photutils.detection import DAOStarFinder
    from astropy.stats import SigmaClip
    begin = time.process_time()
    data = fits.getdata(image).astype('f8')
    level = Background2D(data, 64, filter_size=3, sigma_clip=SigmaClip(3.), bkg_estimator=MedianBackground())
    data = np.ascontiguousarray(data - level.background)
    t = DAOStarFinder(fwhm=3.5, threshold=3 * level.background_rms_median)(data)
    x, y = np.asarray(t['xcentroid']), np.asarray(t['ycentroid'])
    flux, err, _ = sep.sum_circle(data, x, y, 6., err=level.background_rms_median, gain=1.5)
    cpu = time.process_time() - begin
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return dict(x=x, y=y, flux=flux, err=err, auto=flux, cost=(cpu, memory, cpu))


def isolated(options, folder):
    truth = Table.read(f'{folder}/snr_truth.fits')
    tree = cKDTree(np.c_[truth['x'], truth['y']])
    tools = [('AstrID', lambda i: by_astrid(options, i)),
             ('AstrID, 5 sigma', lambda i: by_astrid(options, i, ['--threshold', '5'])),
             ('AstrID, FWHM given', lambda i: by_astrid(options, i, ['--fwhm', '3.5'])),
             ('SExtractor 1.5, 3x3', lambda i: by_sextractor(options, i, 1.5, 'default')),
             ('SExtractor tuned', lambda i: by_sextractor(options, i, 1.0, 'gauss_2.5_5x5')),
             ('SEP 1.5 conv', lambda i: by_sep(options, i)),
             ('DAOStarFinder 3', lambda i: by_photutils(options, i))]
    levels = (5, 6, 7, 8, 10)
    print('Isolated stars: completeness by S/N; false sources in the frame and in noise alone; positions in units of\n'
          'Cramer-Rao; mean flux within 6 px over the true one, and its pull\n')
    print(f'{"":20}' + ''.join(f'{n:>6}' for n in levels) + f'{"false":>7}{"noise":>6}{"pos10":>8}{"pos20":>7}{"pos100":>7}'
          f'{"flux100":>9}{"pull20":>7}{"pull100":>8}{"CPU s":>7}')
    inside = 1 - np.exp(-36 / (2 * SIGMA**2))
    for name, tool in tools:
        found, false = tool(f'{folder}/snr.fits'), len(tool(f'{folder}/noise_only.fits')['x'])
        distance, match = tree.query(np.c_[found['x'], found['y']], distance_upper_bound=3.)
        real = np.isfinite(distance)
        seen = np.zeros(len(truth), bool)
        seen[match[real]] = True
        line = f'{name:20}' + ''.join(f'{seen[truth["snr"] == n].mean():6.2f}' for n in levels)
        line += f'{(~real).sum():7d}{false:6d}'
        positions, ratio, pulls = {}, {}, {}
        for n in (10, 20, 100):
            k = real.copy()
            k[real] = truth['snr'][match[real]] == n
            j = match[k]
            d2 = (found['x'][k] - truth['x'][j])**2 + (found['y'][k] - truth['y'][j])**2
            positions[n] = np.sqrt(np.median(d2) / 1.386) / (np.sqrt(2) * SIGMA / n)
            flux, expected = found['flux'][k], np.asarray(truth['flux'][j]) * inside
            sound = np.isfinite(flux)
            ratio[n] = np.mean(flux[sound] / expected[sound])
            pulls[n] = np.std((flux[sound] - expected[sound]) / found['err'][k][sound])
        print(line + f'{positions[10]:8.3f}{positions[20]:7.3f}{positions[100]:7.3f}{ratio[100]:9.4f}'
              f'{pulls[20]:7.3f}{pulls[100]:8.3f}{found["cost"][0]:7.2f}', flush=True)


def crowded(options, folder, name):
    image, truth = f'{folder}/{name}.fits', Table.read(f'{folder}/{name}_truth.fits')
    x, y, flux = (np.asarray(truth[c]) for c in ('x', 'y', 'flux'))
    snr = flux * 1.5 / np.sqrt(4 * np.pi * SIGMA**2 * 1.03 * 496 + flux * 1.5)
    classic = ['--filter-kernel', 'default', '--threshold', '4']
    classic += ['--measure', 'full']
    tools = [('AstrID, classes', lambda: by_astrid(options, image, ['--threads', '1'])),
             ('AstrID', lambda: by_astrid(options, image, ['--threads', '1', '--measure', 'full'])),
             ('AstrID, 2 threads', lambda: by_astrid(options, image, ['--threads', '2', '--measure', 'full'])),
             ('AstrID 3x3', lambda: by_astrid(options, image, ['--threads', '1', *classic])),
             ('AstrID 3x3, basic', lambda: by_astrid(options, image, ['--threads', '1', *classic, '--measure', 'basic'])),
             ('SExtractor, full', lambda: by_sextractor(options, image, 1.5, 'default')),
             ('SExtractor, basic', lambda: by_sextractor(options, image, 1.5, 'default', 'se_basic.param')),
             ('SEP conv', lambda: by_sep(options, image))]
    bins = ((5, 7), (7, 10), (10, 20), (20, 100))
    print(f'\nCrowded, {name}: {len(truth)} stars; completeness by S/N, purity, CPU and wall seconds, peak memory\n')
    print(f'{"":20}{"n":>7}' + ''.join(f'{f"{a}-{b}":>8}' for a, b in bins) + f'{"purity":>8}{"CPU s":>7}{"wall":>6}{"MB":>6}')
    costs = {}
    for label, tool in tools:
        found = tool()
        distance, match = cKDTree(np.c_[found['x'], found['y']]).query(np.c_[x, y], distance_upper_bound=2.5)
        used, seen = set(), np.zeros(len(truth), bool)
        for i in np.argsort(-flux):
            if np.isfinite(distance[i]) and match[i] not in used:
                used.add(match[i])
                seen[i] = True
        cpu, memory, wall = costs[label] = found['cost']
        print(f'{label:20}{len(found["x"]):7d}' +
              ''.join(f'{seen[(snr >= a) & (snr < b)].mean():8.3f}' for a, b in bins) +
              f'{len(used) / len(found["x"]):8.4f}{cpu:7.2f}{wall:6.2f}{memory:6.0f}', flush=True)
    ratio = lambda a, b: costs[a][0] / costs[b][0]
    print(f'CPU of AstrID over SExtractor: whole catalogue {ratio("AstrID", "SExtractor, full"):.2f}, with the same '
          f'filter {ratio("AstrID 3x3", "SExtractor, full"):.2f}, detection {ratio("AstrID 3x3, basic", "SExtractor, basic"):.2f}')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument('--seed', type=int, default=int(time.time()) % 100000 + 1)
    parser.add_argument('--astrid', default=f'{root}/build/astrid')
    parser.add_argument('--peers', default=f'{root}/../shared/peers/calibration')
    parser.add_argument('--keep', help='folder for the frames; else a temporary one')
    options = parser.parse_args()
    if not os.path.exists(f'{options.peers}/sim.py'):
        print('extraction: there is no ../shared/peers: nothing to compare with')
        return
    print(f'seed {options.seed}')
    with tempfile.TemporaryDirectory() as temporary:
        options.folder = folder = options.keep or temporary
        subprocess.run([PYTHON, f'{options.peers}/sim.py', folder, f'seed={options.seed}', 'snr', 'field2k', 'field4k'], check=True)
        isolated(options, folder)
        crowded(options, folder, 'field2k')
        crowded(options, folder, 'field4k')


if __name__ == '__main__':
    main()
