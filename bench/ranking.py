#!/usr/bin/python3
"""Ranks of candidates against simulated truth, and tables and duplicates beside astropy and scipy.

    bench/ranking.py [--astrid build/astrid] [--seeds 4] [--first-seed N] [--size 2048]
                     [--threshold 3.5] [--rows 200000] [--keep DIR]

Accuracy: fresh skies of `astrid simulate`, candidates of `astrid run`, matched with the truth at
2.5 px and the right sign; what is neither real nor spurious (trails of movers, second matches) does
not count. Area under the curve and the fraction of real ones in the first N, in the order of snr,
of |score| and of `astrid rank`. Intervals: 95 % of 400 bootstraps of the candidates of every sky.
Speed: the same catalogue in and out, CPU s of the whole process of AstrID, of the peers without
their start and imports.
"""
import argparse, os, random, resource, subprocess, tempfile, time
import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Table
from scipy.spatial import cKDTree
from scipy.stats import rankdata


def run(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def numbers(table, name):
    return np.ma.filled(np.ma.asarray(table[name], dtype=float), np.nan)


def label(candidates, truth):
    """1 real, 0 spurious, -1 neither."""
    x, y = numbers(candidates, 'x'), numbers(candidates, 'y')
    polarity = np.asarray(candidates['polarity'])
    labels = np.zeros(len(candidates), int)
    for change in truth[(np.abs(truth['snr']) > 0) & (truth['on_image'] > 0)]:
        distance = np.hypot(x - change['x'], y - change['y'])
        near = distance <= 2.5
        good = near & (polarity == np.sign(change['snr']))
        labels[near & ~good & (labels == 0)] = -1
        if good.any():
            labels[good & (labels != 1)] = -1
            labels[np.where(good)[0][np.argmin(distance[good])]] = 1
        if change['kind'] == 'mover':
            labels[(distance <= 62) & (polarity < 0) & (labels != 1)] = -1
    return labels


def area(values, labels):
    ranks, real = rankdata(values), labels.sum()
    return (ranks[labels == 1].sum() - real * (real + 1) / 2) / (real * (len(labels) - real))


def precision(values, labels, count):
    return labels[np.argsort(-values, kind='stable')][:count].mean()


def one_sky(options, seed, folder):
    night, result, ranked = f'{folder}/night', f'{folder}/run', f'{folder}/ranked.csv'
    run(options.astrid, 'simulate', '-o', night, '--seed', str(seed), '--size', str(options.size), '--raw', '0',
        '--transients', '80', '--faders', '30', '--variables', '30', '--movers', '12')
    run(options.astrid, 'run', f'{night}/science.fits', f'{night}/reference.fits', '-o', result,
        '--threshold', str(options.threshold))
    run(options.astrid, 'extract', f'{night}/reference.fits', '-o', f'{folder}/reference.csv')
    run(options.astrid, 'rank', f'{result}/candidates.csv', '-o', ranked,
        '--reference-catalogue', f'{folder}/reference.csv')
    table = Table.read(ranked, format='ascii.csv')
    labels = label(table, Table.read(f'{night}/truth.csv', format='ascii.csv'))
    orders = [np.abs(numbers(table, 'snr')), np.abs(numbers(table, 'score')), numbers(table, 'rank_score')]
    return [np.nan_to_num(o, nan=-1)[labels >= 0] for o in orders], labels[labels >= 0]


def accuracy(options):
    skies = []
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        with tempfile.TemporaryDirectory(dir=options.keep) as folder:
            skies.append(one_sky(options, seed, folder))
    print(f'Ranks: seeds {options.first_seed} to {options.first_seed + options.seeds - 1}, {options.size} px, '
          f'threshold {options.threshold}: {sum(l.sum() for _, l in skies)} real, '
          f'{sum((l == 0).sum() for _, l in skies)} spurious')
    generator = np.random.default_rng(1)
    draws = []
    for _ in range(400):
        areas = []
        for orders, labels in skies:
            chosen = generator.integers(0, len(labels), len(labels))
            areas.append([area(o[chosen], labels[chosen]) for o in orders])
        draws.append(np.mean(areas, 0))
    draws = np.array(draws)
    print(f'{"order of":14}{"AUC":>8}{"95 %":>18}{"first 50":>10}{"first 100":>10}{"first N":>10}')
    for i, name in enumerate(('snr', '|score|', 'astrid rank')):
        mean = np.mean([area(o[i], l) for o, l in skies])
        low, high = np.percentile(draws[:, i], [2.5, 97.5])
        firsts = [np.mean([precision(o[i], l, n or l.sum()) for o, l in skies]) for n in (50, 100, 0)]
        print(f'{name:14}{mean:8.4f}{low:10.4f}-{high:.4f}' + ''.join(f'{f:10.3f}' for f in firsts))
    gain = draws[:, 2] - draws[:, :2].max(1)
    low, high = np.percentile(gain, [2.5, 97.5])
    print(f'rank above the better of the others: {gain.mean():+.4f}, 95 % {low:+.4f} to {high:+.4f}')


def crowded_field(rows):
    """Half of the rows within a few arcseconds of another."""
    generator = np.random.default_rng(7)
    ra, dec = generator.uniform(0, 2, rows), generator.uniform(-1, 1, rows)
    ra[1::2] = ra[:-1:2] + generator.normal(0, 1.5 / 3600, rows // 2)
    dec[1::2] = dec[:-1:2] + generator.normal(0, 1.5 / 3600, rows // 2)
    return Table({'id': np.arange(1, rows + 1), 'ra': ra % 360, 'dec': dec, 'x': 3600 * ra, 'y': 3600 * dec,
                  'snr': generator.uniform(3, 50, rows)})


def thin(count, snr, ids, first, second):
    """The greedy choice on a list of near pairs."""
    order = np.lexsort((ids, -snr))
    position = np.empty(count, int)
    position[order] = np.arange(count)
    keep = np.ones(count, bool)
    better = np.where(position[first] < position[second], first, second)
    worse = np.where(position[first] < position[second], second, first)
    by = np.argsort(position[better], kind='stable')
    for a, b in zip(better[by], worse[by]):
        if keep[a]:
            keep[b] = False
    return keep


def peer_on_sky(path, out):
    table = Table.read(path)
    sky = SkyCoord(table['ra'] * units.deg, table['dec'] * units.deg)
    first, second, _, _ = sky.search_around_sky(sky, 2 * units.arcsec)
    pairs = first < second
    keep = thin(len(table), table['snr'], table['id'], first[pairs], second[pairs])
    table[keep].write(out, overwrite=True)
    return keep.sum()


def peer_in_pixels(path, out):
    table = Table.read(path)
    pairs = cKDTree(np.column_stack([table['x'], table['y']])).query_pairs(2, output_type='ndarray')
    keep = thin(len(table), table['snr'], table['id'], pairs[:, 0], pairs[:, 1])
    table[keep].write(out, overwrite=True)
    return keep.sum()


def cpu_of(function, *arguments):
    begin = time.process_time()
    result = function(*arguments)
    return time.process_time() - begin, result


def speed(options):
    print(f'\nCatalogues of {options.rows} rows: CPU s')
    print(f'{"":34}{"astrid":>9}{"peer":>9}{"ratio":>7}  peer')
    with tempfile.TemporaryDirectory(dir=options.keep) as folder:
        field = crowded_field(options.rows)
        field.write(f'{folder}/in.fits')
        for what, distance, peer, name in (
                ('duplicates on the sky, FITS', '2 arcsec', peer_on_sky, 'astropy search_around_sky'),
                ('duplicates in pixels, FITS', '2 px', peer_in_pixels, 'scipy cKDTree')):
            ours = run(options.astrid, 'filter', f'{folder}/in.fits', '-o', f'{folder}/ours.fits',
                       '--min-distance', distance)
            theirs, kept = cpu_of(peer, f'{folder}/in.fits', f'{folder}/theirs.fits')
            same = len(Table.read(f'{folder}/ours.fits')) == kept
            print(f'{what:34}{ours:9.3f}{theirs:9.3f}{theirs / ours:7.1f}  {name}'
                  f'{"" if same else "  DIFFERENT ROWS"}')
        forms = (('csv', 'ascii.csv'), ('vot', 'votable'), ('fits', 'fits'))
        for ending, form in forms:
            path = f'{folder}/in.{ending}'
            field.write(path, format=form, overwrite=True)
            ours = run(options.astrid, 'filter', path, '-o', f'{folder}/out.{ending}')
            theirs, _ = cpu_of(lambda: Table.read(path, format=form).write(f'{folder}/peer.{ending}', format=form,
                                                                          overwrite=True))
            print(f'{ending.upper() + " in and out":34}{ours:9.3f}{theirs:9.3f}{theirs / ours:7.1f}  astropy')


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--astrid', default='build/astrid')
    parser.add_argument('--seeds', type=int, default=4)
    parser.add_argument('--first-seed', type=int, default=random.randrange(10000, 10**6))
    parser.add_argument('--size', type=int, default=2048)
    parser.add_argument('--threshold', type=float, default=3.5)
    parser.add_argument('--rows', type=int, default=200000)
    parser.add_argument('--keep', help='folder for temporary files')
    options = parser.parse_args()
    options.astrid = os.path.abspath(options.astrid)
    accuracy(options)
    speed(options)


main()
