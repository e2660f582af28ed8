#!/usr/bin/python3
"""Registration and resampling beside SWarp, reproject and astroalign, on the same frames in the same run.

    bench/registration.py [--seed K] [--repeat 3] [--astrid build/astrid]
                          [--peers ../shared/peers/calibration] [--keep DIR]

Frames of 2048 x 2048 px by sim.py with a fresh seed. Resampling: 1.3 deg of rotation and a scale of 1.02,
from TAN, TAN-SIP and TPV headers, without noise; flux and position of 2400 stars by eval_warp.py.
Registration without WCS: by 12 deg, and by 0.15 deg; error of the map over the field against the truth.
Stacking: 8 noisy frames, and the depth of the sum. CPU seconds are of whole processes, medians.
"""
import argparse, importlib.util, json, os, re, statistics, subprocess, sys, tempfile, time, warnings

warnings.simplefilter('ignore')
PYTHON = '/usr/bin/python3'
BARS = {'flux': 1e-4, 'position': .001, 'cpu': .3, 'field': .0024}
shortfalls = []


def measured(command, repeat=1):
    """(output of the last run, median CPU s)"""
    costs = []
    for _ in range(repeat):
        before = os.times()
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        after = os.times()
        if done.returncode:
            sys.exit(f'{" ".join(command)}: {done.stderr}')
        costs.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return done.stdout, statistics.median(costs)


def hold(name, value, bar, text):
    if not value <= bar:
        shortfalls.append(f'{name}: {text} {value:.5g}, the bar is {bar:g}')


# ---- resampling -----------------------------------------------------------------------------------

def add_tpv_frame(peers, sim):
    """warp_src_tpv_nonoise.fits: the same stars as in warp_src, under a TPV distortion of some pixels."""
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table
    from astropy.wcs import WCS
    spec = importlib.util.spec_from_file_location('sim', f'{peers}/sim.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    header = fits.getheader(f'{sim}/warp_src_nonoise.fits')
    header['CTYPE1'], header['CTYPE2'] = 'RA---TPV', 'DEC--TPV'
    for key, value in {'PV1_1': 1.001, 'PV1_2': 3e-4, 'PV1_4': 4e-3, 'PV1_5': -2e-3, 'PV1_7': .2, 'PV1_9': .2,
                       'PV2_1': .999, 'PV2_2': -2e-4, 'PV2_4': -2e-3, 'PV2_7': .2, 'PV2_9': .2}.items():
        header[key] = value
    truth = Table.read(f'{sim}/warp_truth.fits')
    ra, dec = WCS(fits.getheader(f'{sim}/warp_ref.fits')).all_pix2world(truth['x'], truth['y'], 0)
    x, y = WCS(header).all_world2pix(ra, dec, 0)
    image = np.zeros((header['NAXIS2'], header['NAXIS1']))
    module.add_stars(image, x, y, np.asarray(truth['flux']), 3.5)
    fits.writeto(f'{sim}/warp_src_tpv_nonoise.fits', image.astype('f4'), header, overwrite=True)


def resampling(options, sim):
    peers, repeat = options.peers, options.repeat
    add_tpv_frame(peers, sim)
    print(f'Resampling, noise-free stars{"":16}{"flux ratio":>12}{"scatter":>10}{"position px":>13}{"CPU s":>8}{"AstrID is":>11}')
    for kind in ('', '_sip', '_tpv'):
        source, rows = f'warp_src{kind}_nonoise', []
        for kernel in ('spline3', 'spline5', 'lanczos3', 'lanczos4'):
            out = f'{sim}/out_astrid_{kernel}.fits'
            _, cpu = measured([options.astrid, 'align', f'{sim}/{source}.fits', f'{sim}/warp_ref.fits', '--register',
                               'wcs', '--kernel', kernel, '--threads', '1', '-o', out], repeat)
            rows.append((f'AstrID {kernel}', out, cpu))
        _, cpu = measured(['bash', f'{peers}/run_swarp.sh', sim, source, 'LANCZOS3'], repeat)
        rows.append(('SWarp LANCZOS3', f'{sim}/out_{source}_swarp_LANCZOS3.fits', cpu))
        _, cpu = measured([PYTHON, f'{peers}/p_reproject.py', sim, source, 'interp', 'bicubic'])
        rows.append(('reproject bicubic', f'{sim}/out_{source}_interp_bicubic.fits', cpu))
        ours = rows[0][2]
        for name, path, cpu in rows:
            text, _ = measured([PYTHON, f'{peers}/eval_warp.py', sim, path])
            flux, scatter = (float(v) for v in re.search(r'med=([0-9.naif]+) rms=([0-9.naif]+)', text).groups())
            position = float(re.search(r'rms2d=([0-9.naif]+)', text).group(1))
            label = f'{(kind[1:] or "tan").upper():5}{name}'
            ratio = '' if name.startswith('AstrID') else f'{cpu / ours:9.1f} x'
            print(f'{label:44}{flux:12.5f}{scatter:10.5f}{position:13.5f}{cpu:8.2f}{ratio:>11}', flush=True)
            if name == 'AstrID spline3':
                hold(label, abs(flux - 1), BARS['flux'], 'flux error')
                hold(label, scatter, BARS['flux'], 'flux scatter')
                hold(label, position, BARS['position'], 'position error px')
                hold(label, cpu, BARS['cpu'], 'CPU s')


# ---- registration -----------------------------------------------------------------------------------

def field_error(sim, frame, transform):
    """rms px of the map from reg_a to the frame over its stars, per position (both axes together)."""
    import numpy as np
    from astropy.table import Table
    a, b = (Table.read(f'{sim}/reg_{n}_truth.fits') for n in ('a', frame))
    inside = (a['x'] > 0) & (a['x'] < 2047) & (a['y'] > 0) & (a['y'] < 2047)
    x, y = np.asarray(a['x'][inside]), np.asarray(a['y'][inside])
    p = transform['polynomial']
    if p:
        u, v, terms = (x - p['x0']) / p['scale'], (y - p['y0']) / p['scale'], []
        for degree in range(p['degree'] + 1):
            terms += [u ** (degree - j) * v ** j for j in range(degree + 1)]
        at = np.array([sum(c * t for c, t in zip(p[axis], terms)) for axis in 'xy'])
    else:
        at = np.array(transform['matrix']) @ np.array([x, y]) + np.array(transform['offset'])[:, None]
    return float(np.sqrt(((at[0] - b['x'][inside]) ** 2 + (at[1] - b['y'][inside]) ** 2).mean()))


def registration(options, sim):
    print(f'\nRegistration without WCS{"":20}{"field rms px":>14}{"matched":>9}{"CPU s":>8}{"AstrID is":>11}')
    for frame, name in (('b', '12 deg'), ('c', '0.15 deg')):
        out, transform = f'{sim}/aligned.fits', f'{sim}/t.json'
        text, ours = measured([options.astrid, 'align', f'{sim}/reg_{frame}.fits', f'{sim}/reg_a.fits', '-o', out,
                               '--threads', '1', '--json', '--transform-out', transform], options.repeat)
        error = field_error(sim, frame, json.load(open(transform)))
        matched = json.loads(text)['images'][0]['quality']['matched']
        print(f'{name + ": AstrID":44}{error:14.4f}{matched:9d}{ours:8.2f}', flush=True)
        hold(name, error, BARS['field'], 'field rms px')
        text, cpu = measured([PYTHON, f'{options.peers}/p_align.py', sim, frame], options.repeat)
        error = float(re.search(r'rms_px ([0-9.]+)', text).group(1))
        matched = int(re.search(r'nmatch ([0-9]+)', text).group(1))
        print(f'{name + ": astroalign":44}{error:14.4f}{matched:9d}{cpu:8.2f}{cpu / ours:9.1f} x', flush=True)
        hold(name, ours, cpu, 'CPU s beside astroalign')


# ---- stacking ------------------------------------------------------------------------------------------

def stacking(options, sim):
    """Eight dithered frames of one field: noise of sums over 8 x 8 px, and fluxes, against the truth."""
    import numpy as np
    import sep
    from astropy.io import fits
    spec = importlib.util.spec_from_file_location('sim', f'{options.peers}/sim.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng, side, frames = np.random.default_rng([99, options.seed]), 1024, 8
    x, y = rng.uniform(-30, side + 30, 900), rng.uniform(-30, side + 30, 900)
    flux = module.powerlaw_flux(rng, 900, 2000, 5e5)
    paths = []
    for k in range(frames):
        dx, dy, turn = (0, 0, 0) if k == 0 else (*rng.uniform(-20, 20, 2), np.radians(rng.uniform(-1, 1)))
        c, s, mid = np.cos(turn), np.sin(turn), side / 2
        u, v = c * (x - mid) - s * (y - mid) + mid + dx, s * (x - mid) + c * (y - mid) + mid + dy
        electrons = np.full((side, side), 400.)
        module.add_stars(electrons, u, v, flux * rng.uniform(.8, 1) if k else flux, 3.3 + .1 * (k % 4))
        header = fits.Header({'GAIN': 1.5, 'RDNOISE': 7.5, 'EXPTIME': 60.})
        paths.append(f'{sim}/stack_{k}.fits')
        fits.writeto(paths[-1], module.observe(electrons, rng, 1.5, 7.5), header, overwrite=True)
    print(f'\nStacking{"":14}{"CPU s":>8}{"flux ratio":>12}{"blocks / sqrt(n)":>18}{"sqrt(VARIANCE) / pixels":>25}')
    for method in ('weighted', 'clipped', 'median'):
        _, cpu = measured([options.astrid, 'stack', *paths, '-o', f'{sim}/deep.fits', '--combine', method,
                           '--sky', 'subtract'])
        deep = fits.open(f'{sim}/deep.fits')
        d, variance = deep[0].data.astype('f8'), deep[1].data
        inner = (x > 60) & (x < side - 60) & (y > 60) & (y < side - 60) & (flux > 5e4)
        ok = np.isfinite(d)
        d[~ok] = 0
        stars = np.zeros_like(d)
        module.add_stars(stars, x, y, flux / 1.5, 3.4)
        sums, truth = (sep.sum_circle(image, x[inner], y[inner], 9.)[0] for image in (d, stars))
        quiet = (stars < .5)[60:-60, 60:-60]
        z = (d - stars)[60:-60, 60:-60]
        blocks = z[:904, :904].reshape(113, 8, 113, 8)
        whole = quiet[:904, :904].reshape(113, 8, 113, 8).all((1, 3))
        noise = blocks.sum((1, 3))[whole].std() / 8
        one = np.sqrt(400 + 7.5 ** 2) / 1.5
        pixels = z[quiet].std()
        print(f'{method:22}{cpu:8.2f}{np.median(sums / truth):12.5f}{noise / (one / np.sqrt(frames)):18.3f}'
              f'{np.sqrt(np.median(variance[60:-60, 60:-60][quiet])) / pixels:25.3f}', flush=True)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=int(time.time()) % 1000000 + 1)
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--astrid', default=f'{here}/../build/astrid', type=os.path.abspath)
    parser.add_argument('--peers', default=f'{here}/../../shared/peers/calibration')
    parser.add_argument('--keep', help='folder for temporary files')
    options = parser.parse_args()
    if not os.path.isdir(options.peers):
        print(f'{options.peers}: the peers are not there; nothing to compare with')
        return
    with tempfile.TemporaryDirectory(dir=options.keep) as sim:
        print(f'seed {options.seed}')
        measured([PYTHON, f'{options.peers}/sim.py', sim, f'seed={options.seed}', 'warp', 'reg'])
        resampling(options, sim)
        registration(options, sim)
        stacking(options, sim)
    print('\nshort of a bar: ' + ('; '.join(shortfalls) if shortfalls else 'nothing'))


if __name__ == '__main__':
    main()
