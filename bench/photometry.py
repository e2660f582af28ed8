#!/usr/bin/python3
"""Photometry at known positions beside SEP and photutils, on the same frames in the same run.

    bench/photometry.py [--seed 4242] [--astrid build/astrid] [--peers ../shared/peers/calibration] [--keep DIR]

Frames with truth by sim.py: isolated stars of S/N 3 to 100 (snr), and a crowded field (field2k, 8000
stars). Everybody is given the true positions. The PSF: AstrID builds its own from the frame, photutils
is given the true one. Apertures: circles of 6 px (isolated), 5 px (crowded), exact overlap.
ratio: flux over truth, weighted; pull: (flux - truth)/error; scatter: half of the central 68 % of
flux/truth. CPU: of the whole process, with reading, background and, for AstrID, the building of the PSF.
"""
import argparse, os, subprocess, sys, tempfile

PYTHON = '/usr/bin/python3'
HERE = os.path.dirname(os.path.abspath(__file__))


def cpu_of(*command):
    before = os.times()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


# ------------------------------------------------------------------------------------------ the peers

def peer(tool, folder, frame, radius):
    """One peer in a process of its own: fluxes and errors into folder/tool.npz."""
    import numpy as np
    from astropy.io import fits
    from astropy.table import Table
    data = fits.getdata(f'{folder}/{frame}.fits').astype('f8')
    truth = Table.read(f'{folder}/{frame}_truth.fits')
    x, y = np.array(truth['x']), np.array(truth['y'])
    gain = 1.5
    import sep
    background = sep.Background(data, bw=128, bh=128)
    image = data - background.back()
    if tool == 'sep':
        flux, error, _ = sep.sum_circle(image, x, y, radius, err=background.rms(), gain=gain, subpix=0)
    elif tool == 'photutils':
        from photutils.aperture import CircularAperture, aperture_photometry
        table = aperture_photometry(image, CircularAperture(np.transpose((x, y)), radius),
                                    error=np.sqrt(background.rms()**2 + np.clip(image, 0, None) / gain))
        flux, error = np.array(table['aperture_sum']), np.array(table['aperture_sum_err'])
    else:
        import warnings
        warnings.simplefilter('ignore')
        from astropy.modeling.fitting import LevMarLSQFitter
        from photutils.psf import BasicPSFPhotometry, DAOGroup, IntegratedGaussianPRF
        side = int(radius)
        keep = (x < side) & (y < side)
        psf = IntegratedGaussianPRF(sigma=3.5 / 2.35482)
        psf.x_0.fixed = psf.y_0.fixed = True
        start = Table({'x_0': x[keep], 'y_0': y[keep]})
        fit = BasicPSFPhotometry(DAOGroup(6.1), None, psf, (11, 11), fitter=LevMarLSQFitter(), aperture_radius=4)
        result = fit(image=image[:side + 20, :side + 20], init_guesses=start)
        result.sort('id')
        flux, error = np.full(len(x), np.nan), np.full(len(x), np.nan)
        flux[keep] = result['flux_fit']
        error[keep] = result['flux_unc'] if 'flux_unc' in result.colnames else np.nan
    np.savez(f'{folder}/{tool}.npz', flux=flux, error=error)


# ---------------------------------------------------------------------------------------- the figures

def judge(label, flux, error, truth, cpu):
    import numpy as np
    good = np.isfinite(flux)
    known = good & np.isfinite(error)
    pull = ((flux - truth) / error)[known]
    weight = (truth / error)[known] ** 2 if known.any() else 1 / truth[good]
    ratio = np.average((flux / truth)[known if known.any() else good], weights=weight)
    line = f'{label:24}{good.sum():6d}{ratio:9.4f}'
    line += f'{pull.mean():8.3f}{pull.std():8.3f}' if known.any() else f'{"":8}{"":8}'
    bins = ((267, 1000), (1000, 3000), (3000, 1e4), (1e4, 1e5), (1e5, 1e6))
    for low, high in bins:
        inside = good & (truth >= low) & (truth < high)
        if inside.sum() < 20:
            line += f'{"-":>9}'
            continue
        r = np.percentile(flux[inside] / truth[inside], [16, 84])
        line += f'{(r[1] - r[0]) / 2:9.4f}'
    print(f'{line}{cpu:8.2f}{1e6 * cpu / max(good.sum(), 1):9.0f}', flush=True)


def compare(options, folder, frame, radius):
    import numpy as np
    from astropy.table import Table
    truth = Table.read(f'{folder}/{frame}_truth.fits')
    places = Table({'x': truth['x'] + 1, 'y': truth['y'] + 1})
    places.write(f'{folder}/at.csv', overwrite=True)
    true_flux = np.array(truth['flux'])
    print(f'\n{frame}: {len(truth)} stars{"":12}{"n":>3}{"ratio":>9}{"pull":>8}{"+-":>8}   scatter for fluxes from'
          f' 267, 1000, 3000, 1e4, 1e5 ADU{"CPU s":>8}{"us/star":>9}')

    def astrid(label, *more):
        cpu = cpu_of(options.astrid, 'photometry', f'{folder}/{frame}.fits', '--at', f'{folder}/at.csv', '-o',
                     f'{folder}/out.csv', '--threads', '1', *more)
        out = Table.read(f'{folder}/out.csv', format='csv')
        columns = [np.ma.filled(np.ma.asarray(out[name], dtype=float), np.nan) for name in ('flux', 'flux_err')]
        judge(label, *columns, true_flux, cpu)

    def other(label, tool, size):
        cpu = cpu_of(PYTHON, __file__, '--peer', tool, folder, frame, str(size))
        out = np.load(f'{folder}/{tool}.npz')
        judge(label, out['flux'], out['error'], true_flux, cpu)

    astrid('astrid psf')
    astrid(f'astrid aperture {radius}', '--photometry', 'aperture', '--aperture', str(radius))
    other(f'SEP aperture {radius}', 'sep', radius)
    other(f'photutils aperture {radius}', 'photutils', radius)
    other('photutils psf (a corner)', 'photutils_psf', 500)


def main():
    if len(sys.argv) > 1 and sys.argv[1] == '--peer':
        peer(sys.argv[2], sys.argv[3], sys.argv[4], float(sys.argv[5]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seed', default='4242')
    parser.add_argument('--astrid', default=f'{HERE}/../build/astrid', type=os.path.abspath)
    parser.add_argument('--peers', default=f'{HERE}/../../shared/peers/calibration')
    parser.add_argument('--keep', help='folder for temporary files')
    options = parser.parse_args()
    if not os.path.isdir(options.peers):
        print(f'{options.peers}: the simulation is not there; nothing to compare with')
        return
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        subprocess.run([PYTHON, f'{options.peers}/sim.py', folder, f'seed={options.seed}', 'snr', 'field2k'],
                       check=True, stdout=subprocess.DEVNULL)
        compare(options, folder, 'snr', 6)
        compare(options, folder, 'field2k', 5)


if __name__ == '__main__':
    main()
