#!/usr/bin/python3
"""`astrid quality` beside sep, photutils and SExtractor on frames with known sky, noise, seeing and hits.

    bench/quality.py [--seed N] [--astrid build/astrid] [--peers ../shared/peers/calibration] [--keep DIR]

Frames of 2048 x 2048 px by sim.py with a fresh seed: field2k (8,000 stars on a gradient), snr (3,800
stars on a flat sky), noise_only, cr (2,500 hits). Times are CPU seconds of whole processes.
"""
import argparse, json, os, resource, shutil, subprocess, sys, tempfile, time

PYTHON = '/usr/bin/python3'
GAIN, READ_NOISE, FWHM = 1.5, 7.5, 3.5

SEP = '''
import sys, json, numpy as np, sep
from astropy.io import fits
d = fits.getdata(sys.argv[1]).astype('f4'); b = sep.Background(d, bw=64, bh=64)
s = d - b.back(); sep.set_extract_pixstack(3000000)
o = sep.extract(s, 5.0, err=b.rms()); g = (o['flag'] == 0) & (o['flux'] > 50*b.globalrms*5)
r, _ = sep.flux_radius(s, o['x'][g], o['y'][g], 6*o['a'][g], .5, subpix=5)
print(json.dumps(dict(level=float(b.back().mean()), noise=float(b.rms().mean()), fwhm=float(2*np.median(r)) if len(r) else float('nan'))))
'''
PHOTUTILS = '''
import sys, json, warnings; warnings.simplefilter('ignore'); import numpy as np
from astropy.io import fits; from astropy.stats import SigmaClip
from photutils.background import Background2D, SExtractorBackground, MADStdBackgroundRMS
d = fits.getdata(sys.argv[1]).astype('f4')
p = Background2D(d, 64, filter_size=3, sigma_clip=SigmaClip(3.), bkg_estimator=SExtractorBackground(), bkgrms_estimator=MADStdBackgroundRMS())
print(json.dumps(dict(level=float(p.background.mean()), noise=float(p.background_rms.mean()), fwhm=float('nan'))))
'''


def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(*command, **options):
    before = cpu()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
    if done.returncode:
        sys.exit(f'{command[0]}: {done.stderr.strip()}')
    return done, cpu() - before


def astrid(program, path, *options):
    done, seconds = timed(program, 'quality', '--json', '--threads', '1', *options, path)
    return json.loads(done.stdout)['images'][0], seconds


def by_script(script, path):
    done, seconds = timed(PYTHON, '-c', script, path)
    return json.loads(done.stdout), seconds


def by_sextractor(path, folder):
    import numpy as np
    from astropy.io import fits
    open(f'{folder}/q.param', 'w').write('FLUX_AUTO\nFLUXERR_AUTO\nFWHM_IMAGE\nFLAGS\n')
    done, seconds = timed('source-extractor', path, '-c', '/dev/null', '-PARAMETERS_NAME', f'{folder}/q.param', '-FILTER', 'N',
                          '-CATALOG_TYPE', 'FITS_1.0', '-CATALOG_NAME', f'{folder}/q.cat', '-DETECT_THRESH', '5', '-BACK_SIZE', '64',
                          '-GAIN', str(GAIN))
    words = next(line for line in done.stderr.splitlines() if 'Background:' in line).split()
    table = fits.getdata(f'{folder}/q.cat')
    good = (table['FLAGS'] == 0) & (table['FLUX_AUTO'] > 50*table['FLUXERR_AUTO'])
    fwhm = float(np.median(table['FWHM_IMAGE'][good])) if good.any() else float('nan')
    return dict(level=float(words[words.index('Background:')+1]), noise=float(words[words.index('RMS:')+1]), fwhm=fwhm), seconds


def truth_of(name):
    """Mean level and noise (ADU) of the sky of a frame of sim.py."""
    import numpy as np
    yy, xx = np.mgrid[:2048, :2048]
    sky = (400+60*xx/2048+40*np.sin(2*np.pi*yy/2048))/GAIN if name == 'field2k' else np.full((2048, 2048), 400/GAIN)
    return float(sky.mean()), float((np.sqrt(sky*GAIN+READ_NOISE**2)/GAIN).mean())


def true_limit(noise):
    """Flux at 5 sigma of a Gaussian star of the true seeing in the pixels of sim.py."""
    from math import erf, sqrt
    s = FWHM/2.35482*sqrt(2)
    p = [(erf((i+.5)/s)-erf((i-.5)/s))/2 for i in range(-20, 21)]
    two, three = sum(v*v for v in p)**2, sum(v**3 for v in p)**2
    own = 25*three/two**2/GAIN
    return (own+sqrt(own*own+100*noise*noise/two))/2


def sky_and_seeing(options, folder):
    print(f'{"frame":12}{"tool":28}{"level bias":>11}{"noise ratio":>12}{"FWHM":>7}{"limit ratio":>12}{"CPU s":>7}{"x astrid":>9}')
    for name in ('field2k', 'snr', 'noise_only'):
        path, (level, noise) = f'{folder}/{name}.fits', truth_of(name)
        rows = []
        for background, estimator in (('mesh', 'mesh'), ('mode', 'difference'), ('mode', 'laplacian'), ('median', 'mad'), ('clipped', 'clipped')):
            q, seconds = astrid(options.astrid, path, '--gain', str(GAIN), '--background-estimator', background, '--noise-estimator', estimator)
            rows.append((f'astrid {background}, {estimator}', dict(level=q['background_level'], noise=q['noise_level'],
                         fwhm=q['fwhm_px'] or float('nan'), limit=q['limiting_flux'] or float('nan')), seconds))
        rows.append(('sep', *by_script(SEP, path)))
        rows.append(('photutils', *by_script(PHOTUTILS, path)))
        if shutil.which('source-extractor'):
            rows.append(('SExtractor', *by_sextractor(path, folder)))
        for tool, r, seconds in rows:
            limit = r.get('limit', float('nan'))/true_limit(noise)
            print(f'{name:12}{tool:28}{r["level"]-level:>+11.3f}{r["noise"]/noise:>12.4f}{r["fwhm"]:>7.3f}{limit:>12.4f}'
                  f'{seconds:>7.2f}{seconds/rows[0][2]:>9.2f}')


def hits(options, folder):
    import numpy as np
    from astropy.io import fits
    from scipy import ndimage
    truth = ndimage.label(fits.getdata(f'{folder}/cr_truth.fits') >= 2, np.ones((3, 3)))[1]
    struck, _ = astrid(options.astrid, f'{folder}/cr.fits', '--gain', '1')
    clean, _ = astrid(options.astrid, f'{folder}/cr_clean.fits', '--gain', '1')
    print(f'\ncosmic rays: {struck["cosmic_ray_count"]} hits of {truth} groups above 5 sigma; '
          f'{clean["cosmic_ray_count"]} in the same 3,000 stars without')
    image = fits.getdata(f'{folder}/cr_clean.fits')
    print(f'             a threshold of 5 sigma above the sky would find {int((image > 300+5*np.sqrt(336)).sum())} pixels in those stars')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', type=int, default=int(time.time()) % 100000)
    parser.add_argument('--astrid', default='build/astrid')
    parser.add_argument('--peers', default='../shared/peers/calibration')
    parser.add_argument('--keep', help='folder for the frames')
    options = parser.parse_args()
    if not os.path.exists(f'{options.peers}/sim.py'):
        print(f'bench quality: no {options.peers}/sim.py, so there are no frames to measure')
        return
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        print(f'seed {options.seed}; truth: FWHM {FWHM} px before the pixel, 3.58 px with it')
        timed(PYTHON, f'{options.peers}/sim.py', folder, f'seed={options.seed}', 'field2k', 'snr', 'cr')
        sky_and_seeing(options, folder)
        hits(options, folder)


main()
