/* The picture: a lane of ticks for each kind of victim, and under it each call as a dot, its latency on a scale of decades. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "cli/chaos/report.h"
#include "common/memory.h"

enum { WIDTH = 1200, LEFT = 110, LANE = 14, PLOT = 420, TOP = 10, COLUMNS = 1080, ROWS = 210, DECADES = 6 };

static const char *const colours[] = {"#4c78a8", "#f58518", "#54a24b", "#e45756", "#72b7b2", "#b279a2", "#9d755d",
                                      "#eeca3b", "#ff9da6", "#79706e", "#2f6f4f", "#8c6bb1", "#d67195", "#499894",
                                      "#1f3b73", "#a0522d", "#7f9f00", "#c2185b", "#00acc1", "#5e35b1", "#b8860b"};

static const char *colour_of(unsigned number)
{
    return colours[number % (sizeof(colours) / sizeof(colours[0]))];
}

struct plot {
    FILE *out;
    const struct report *report;
    double seconds;
    unsigned bottom; /* of the lanes */
};

static double x_of(const struct plot *plot, int64_t at_ns)
{
    return LEFT + (double)(at_ns - plot->report->chaos->start_ns) / 1e9 / plot->seconds * (WIDTH - LEFT);
}

/* From 0.1 ms below to 100 s above. */
static double y_of(const struct plot *plot, double ms)
{
    double decade = log10(ms < 0.1 ? 0.1 : ms) + 1;

    return plot->bottom + PLOT - (decade > DECADES ? DECADES : decade) / DECADES * PLOT;
}

static bool lane_put(struct plot *plot, enum target target, unsigned y)
{
    const struct record *record = plot->report->record;
    bool is_empty = true;

    for (size_t i = 0; i < record->kill_count; i++) {
        const struct kill_record *kill = &record->kills[i];
        if (kill->target != target)
            continue;
        if (is_empty)
            fprintf(plot->out, "<text x=\"%d\" y=\"%u\" class=\"r\">%s</text><path stroke=\"%s\" d=\"", LEFT - 6, y + LANE - 3,
                    target_name(target), colour_of(target));
        is_empty = false;
        fprintf(plot->out, "M%.1f %uv%d", x_of(plot, kill->at_ns), y + 2, kill_counts(kill) ? LANE - 4 : LANE / 3);
    }
    if (!is_empty)
        fputs("\"/>\n", plot->out);
    return !is_empty;
}

static void grid_put(const struct plot *plot)
{
    static const char *const names[] = {"0.1 ms", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "100 s"};

    for (unsigned i = 0; i <= DECADES; i++)
        fprintf(plot->out, "<path class=\"g\" d=\"M%d %uH%d\"/><text x=\"%d\" y=\"%u\" class=\"r\">%s</text>\n", LEFT,
                plot->bottom + PLOT - i * PLOT / DECADES, WIDTH, LEFT - 6, plot->bottom + PLOT - i * PLOT / DECADES + 4,
                names[i]);
    for (unsigned i = 0; i <= 10; i++)
        fprintf(plot->out, "<text x=\"%.0f\" y=\"%u\" class=\"%s\">%.0f s</text>\n", LEFT + i * (WIDTH - LEFT) / 10.0,
                plot->bottom + PLOT + 16, i == 10 ? "r" : "m", plot->seconds * i / 10);
}

/* Each place of the grid is drawn once for a kind of call, however many there are. */
static void calls_put(const struct plot *plot, enum rpc rpc, bool *taken)
{
    const struct record *record = plot->report->record;
    bool is_empty = true;

    memset(taken, 0, (COLUMNS + 1) * (ROWS + 1));
    for (size_t i = 0; i < record->call_count; i++) {
        const struct call_record *call = &record->calls[i];
        if (call->rpc != rpc)
            continue;
        unsigned column = (unsigned)((x_of(plot, call->end_ns) - LEFT) * COLUMNS / (WIDTH - LEFT));
        unsigned row = (unsigned)((y_of(plot, (double)(call->end_ns - call->start_ns) / 1e6) - plot->bottom) * ROWS / PLOT);
        if (column > COLUMNS || row > ROWS || taken[column * (ROWS + 1) + row])
            continue;
        taken[column * (ROWS + 1) + row] = true;
        if (is_empty)
            fprintf(plot->out, "<path class=\"d\" stroke=\"%s\" d=\"", colour_of(rpc));
        is_empty = false;
        fprintf(plot->out, "M%.0f %.0fh0", LEFT + (double)column * (WIDTH - LEFT) / COLUMNS,
                plot->bottom + (double)row * PLOT / ROWS);
    }
    if (!is_empty)
        fprintf(plot->out, "\"><title>%s</title></path>\n", rpc_name(rpc));
}

static void legend_put(const struct plot *plot)
{
    fputs("<p class=\"legend\">", plot->out);
    for (enum rpc rpc = 0; rpc < RPC_COUNT; rpc++) {
        struct rpc_statistics statistics;
        statistics_of_rpc(plot->report->record, rpc, &statistics);
        if (statistics.calls)
            fprintf(plot->out, "<span><i style=\"background:%s\"></i>%s</span> ", colour_of(rpc), rpc_name(rpc));
    }
    fputs("</p>\n", plot->out);
}

void plot_put(FILE *out, const struct report *report)
{
    struct plot plot = {.out = out, .report = report, .seconds = (double)(report->end_ns - report->chaos->start_ns) / 1e9};
    autofree bool *taken = xcalloc((COLUMNS + 1) * (ROWS + 1), sizeof(*taken));
    unsigned y = TOP, lanes = 0;

    if (plot.seconds <= 0)
        return;
    for (enum target target = 0; target < TARGET_COUNT; target++) {
        struct kill_statistics statistics;
        statistics_of_target(report->record, target, &statistics);
        lanes += statistics.kills > 0;
    }
    plot.bottom = TOP + lanes * LANE + 10;
    fprintf(out, "<svg viewBox=\"0 0 %d %u\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\">\n", WIDTH,
            plot.bottom + PLOT + 24);
    for (enum target target = 0; target < TARGET_COUNT; target++)
        if (lane_put(&plot, target, y))
            y += LANE;
    grid_put(&plot);
    for (enum rpc rpc = 0; rpc < RPC_COUNT; rpc++)
        calls_put(&plot, rpc, taken);
    fputs("</svg>\n", out);
    legend_put(&plot);
}
