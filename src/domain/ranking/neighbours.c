#include "domain/ranking/neighbours.h"

#include "core/base/memory.h"
#include "domain/ranking/sky_regions.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

/* Cells are a little wider than twice the distance: rounding must not put a point that is nearer
 * than that behind the half of a cell. Beyond 2^40 cells from the origin everything is one cell. */
static const double cell_margin = 1.001;
static const double largest_cell = 1099511627776.0;

static void place_points(aid_neighbours *neighbours, const double *x, const double *y, bool on_sky)
{
    for (int64_t i = 0; i < neighbours->count; i++) {
        double *point = neighbours->points[i];
        bool there = isfinite(x[i]) && isfinite(y[i]) && (!on_sky || fabs(y[i]) <= 90.0);
        aid_direction direction = {there ? x[i] : NAN, there ? y[i] : NAN, 0.0};
        if (on_sky && there)
            direction = aid_direction_of(x[i], y[i]);
        point[0] = direction.x;
        point[1] = direction.y;
        point[2] = direction.z;
    }
}

aid_status aid_neighbours_init(const double *x, const double *y, int64_t count, bool on_sky,
                               double distance, aid_neighbours *ret_neighbours, aid_error *err)
{
    assert(distance > 0.0 && (!on_sky || distance <= 180.0));
    const double half_degree = 3.14159265358979323846 / 360.0;
    aid_neighbours neighbours = {.count = count, .flat = !on_sky, .buckets = 16};
    neighbours.reach = on_sky ? 2.0 * sin(distance * half_degree) : distance;
    while (neighbours.buckets < (uint64_t)count)
        neighbours.buckets *= 2;
    size_t size = sizeof *neighbours.points;
    aid_status status = aid_new_array((size_t)count, size, "positions", &neighbours.points, err);
    if (status == AID_OK)
        status = aid_new_buffer((size_t)neighbours.buckets, sizeof *neighbours.first, "positions",
                                &neighbours.first, err);
    if (status == AID_OK)
        status = aid_new_array((size_t)count, sizeof *neighbours.next, "positions",
                               &neighbours.next, err);
    if (status != AID_OK) {
        aid_neighbours_done(&neighbours);
        return status;
    }
    for (uint64_t i = 0; i < neighbours.buckets; i++)
        neighbours.first[i] = -1;
    place_points(&neighbours, x, y, on_sky);
    *ret_neighbours = neighbours;
    return AID_OK;
}

void aid_neighbours_done(aid_neighbours *neighbours)
{
    free(neighbours->points);
    free(neighbours->first);
    free(neighbours->next);
    *neighbours = (aid_neighbours){0};
}

bool aid_neighbours_has_position(const aid_neighbours *neighbours, int64_t point)
{
    return !isnan(neighbours->points[point][0]);
}

static double in_cells(const aid_neighbours *neighbours, double coordinate)
{
    double cells = coordinate / (2.0 * neighbours->reach * cell_margin);
    return AID_CLAMP(cells, -largest_cell, largest_cell);
}

/* splitmix64's finaliser over the three cells. */
static uint64_t bucket_of(const aid_neighbours *neighbours, const int64_t cell[3])
{
    uint64_t hash = 0;
    for (int i = 0; i < 3; i++) {
        hash += (uint64_t)cell[i] + 0x9e3779b97f4a7c15u;
        hash = (hash ^ (hash >> 30)) * 0xbf58476d1ce4e5b9u;
        hash = (hash ^ (hash >> 27)) * 0x94d049bb133111ebu;
        hash ^= hash >> 31;
    }
    return hash & (neighbours->buckets - 1);
}

void aid_neighbours_add(aid_neighbours *neighbours, int64_t point)
{
    if (!aid_neighbours_has_position(neighbours, point))
        return;
    int64_t cell[3];
    for (int i = 0; i < 3; i++)
        cell[i] = (int64_t)floor(in_cells(neighbours, neighbours->points[point][i]));
    int64_t *first = &neighbours->first[bucket_of(neighbours, cell)];
    neighbours->next[point] = *first;
    *first = point;
}

static double squared_distance(const double a[3], const double b[3])
{
    double x = a[0] - b[0], y = a[1] - b[1], z = a[2] - b[2];
    return x * x + y * y + z * z;
}

/* The buckets of the cells that hold everything near a point, each once: two cells may share one.
 * A cell is twice as wide as the distance, so only the halves of its neighbours towards the point
 * matter. */
enum { AROUND = 8 };
static int buckets_around(const aid_neighbours *neighbours, int64_t point, uint64_t buckets[AROUND])
{
    int64_t cell[3], side[3];
    int count = 0, cells = neighbours->flat ? 4 : AROUND;
    for (int i = 0; i < 3; i++) {
        double at = in_cells(neighbours, neighbours->points[point][i]);
        cell[i] = (int64_t)floor(at);
        side[i] = at - floor(at) < 0.5 ? -1 : 1;
    }
    for (int k = 0; k < cells; k++) {
        const int64_t around[3] = {cell[0] + (k & 1 ? side[0] : 0), cell[1] + (k & 2 ? side[1] : 0),
                                   cell[2] + (k & 4 ? side[2] : 0)};
        uint64_t bucket = bucket_of(neighbours, around);
        int known = 0;
        while (known < count && buckets[known] != bucket)
            known++;
        if (known == count)
            buckets[count++] = bucket;
    }
    return count;
}

int64_t aid_neighbours_nearest(const aid_neighbours *neighbours, int64_t point)
{
    uint64_t buckets[AROUND];
    int64_t nearest = -1;
    double least = neighbours->reach * neighbours->reach;
    if (!aid_neighbours_has_position(neighbours, point))
        return -1;
    int count = buckets_around(neighbours, point, buckets);
    for (int k = 0; k < count; k++)
        for (int64_t i = neighbours->first[buckets[k]]; i >= 0; i = neighbours->next[i]) {
            double distance = squared_distance(neighbours->points[i], neighbours->points[point]);
            bool better = distance < least || (distance == least && nearest > i);
            if (i != point && better) {
                least = distance;
                nearest = i;
            }
        }
    return nearest;
}

int64_t aid_neighbours_count(const aid_neighbours *neighbours, int64_t point, int64_t most)
{
    uint64_t buckets[AROUND];
    int64_t found = 0;
    double largest = neighbours->reach * neighbours->reach;
    if (!aid_neighbours_has_position(neighbours, point))
        return 0;
    int count = buckets_around(neighbours, point, buckets);
    for (int k = 0; k < count; k++)
        for (int64_t i = neighbours->first[buckets[k]]; i >= 0; i = neighbours->next[i]) {
            double distance = squared_distance(neighbours->points[i], neighbours->points[point]);
            found += i != point && distance <= largest;
            if (found > most)
                return found;
        }
    return found;
}

void aid_neighbours_each(const aid_neighbours *neighbours, int64_t point,
                         void (*take)(void *context, int64_t other, double squared_distance),
                         void *context)
{
    uint64_t buckets[AROUND];
    double largest = neighbours->reach * neighbours->reach;
    if (!aid_neighbours_has_position(neighbours, point))
        return;
    int count = buckets_around(neighbours, point, buckets);
    for (int k = 0; k < count; k++)
        for (int64_t i = neighbours->first[buckets[k]]; i >= 0; i = neighbours->next[i]) {
            double distance = squared_distance(neighbours->points[i], neighbours->points[point]);
            if (i != point && distance <= largest)
                take(context, i, distance);
        }
}

void aid_neighbours_thin(aid_neighbours *neighbours, const int64_t *order, int64_t count,
                         int64_t *ret_instead)
{
    for (int64_t i = 0; i < neighbours->count; i++)
        ret_instead[i] = -1;
    for (int64_t i = 0; i < count; i++) {
        int64_t point = order[i];
        ret_instead[point] = aid_neighbours_nearest(neighbours, point);
        if (ret_instead[point] < 0)
            aid_neighbours_add(neighbours, point);
    }
}
