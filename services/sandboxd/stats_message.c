/* Which number is which field. */
#include "services/sandboxd/stats_message.h"

#include <string.h>

enum { NS_PER_US = 1000 };

static Runtime__V1__UInt64Value *value(struct stats_parts *parts, uint64_t number)
{
    Runtime__V1__UInt64Value *value = &parts->values[parts->value_count++];

    runtime__v1__uint64_value__init(value);
    value->value = number;
    return value;
}

static Runtime__V1__PsiData *pressure_line(Runtime__V1__PsiData *data, const struct pressure_line *line)
{
    runtime__v1__psi_data__init(data);
    data->total = line->total_us * NS_PER_US; /* CRI counts nanoseconds */
    data->avg10 = line->avg10;
    data->avg60 = line->avg60;
    data->avg300 = line->avg300;
    return data;
}

static Runtime__V1__PsiStats *pressure(struct stats_parts *parts, const struct pressure *from)
{
    size_t i = parts->pressure_count;

    if (!from->is_there)
        return NULL;
    parts->pressure_count++;
    runtime__v1__psi_stats__init(&parts->pressures[i]);
    parts->pressures[i].some = pressure_line(&parts->pressure_lines[2 * i], &from->some);
    parts->pressures[i].full = pressure_line(&parts->pressure_lines[2 * i + 1], &from->full);
    return &parts->pressures[i];
}

Runtime__V1__CpuUsage *stats_cpu(struct stats_parts *parts, const struct stats_numbers *numbers)
{
    if (!numbers->usage.has_cpu)
        return NULL;
    runtime__v1__cpu_usage__init(&parts->cpu);
    parts->cpu.timestamp = numbers->at_ns;
    parts->cpu.usage_core_nano_seconds = value(parts, numbers->usage.cpu_ns);
    parts->cpu.usage_nano_cores = numbers->has_rate ? value(parts, numbers->nano_cores) : NULL;
    parts->cpu.psi = pressure(parts, &numbers->usage.cpu_pressure);
    return &parts->cpu;
}

static uint64_t difference(uint64_t more, uint64_t less)
{
    return more > less ? more - less : 0;
}

Runtime__V1__MemoryUsage *stats_memory(struct stats_parts *parts, const struct stats_numbers *numbers)
{
    const struct cgroup_usage *usage = &numbers->usage;
    Runtime__V1__MemoryUsage *memory = &parts->memory;

    if (!usage->has_memory)
        return NULL;
    runtime__v1__memory_usage__init(memory);
    memory->timestamp = numbers->at_ns;
    memory->usage_bytes = value(parts, usage->memory_bytes);
    memory->working_set_bytes = value(parts, usage->working_set_bytes);
    memory->rss_bytes = value(parts, usage->rss_bytes);
    memory->page_faults = value(parts, usage->page_faults);
    memory->major_page_faults = value(parts, usage->major_page_faults);
    if (usage->limit_bytes)
        memory->available_bytes = value(parts, difference(usage->limit_bytes, usage->working_set_bytes));
    memory->psi = pressure(parts, &usage->memory_pressure);
    return memory;
}

Runtime__V1__SwapUsage *stats_swap(struct stats_parts *parts, const struct stats_numbers *numbers)
{
    const struct cgroup_usage *usage = &numbers->usage;

    if (!usage->has_swap)
        return NULL;
    runtime__v1__swap_usage__init(&parts->swap);
    parts->swap.timestamp = numbers->at_ns;
    parts->swap.swap_usage_bytes = value(parts, usage->swap_bytes);
    if (usage->has_swap_limit)
        parts->swap.swap_available_bytes = value(parts, difference(usage->swap_limit_bytes, usage->swap_bytes));
    return &parts->swap;
}

Runtime__V1__IoUsage *stats_io(struct stats_parts *parts, const struct stats_numbers *numbers)
{
    if (!numbers->usage.io_pressure.is_there)
        return NULL;
    runtime__v1__io_usage__init(&parts->io);
    parts->io.timestamp = numbers->at_ns;
    parts->io.psi = pressure(parts, &numbers->usage.io_pressure);
    return &parts->io;
}

Runtime__V1__FilesystemUsage *stats_writable_layer(struct stats_parts *parts, const struct stats_numbers *numbers)
{
    const struct measurement *measurement = &numbers->measurement;

    if (!measurement->at_ns)
        return NULL;
    runtime__v1__filesystem_usage__init(&parts->layer);
    runtime__v1__filesystem_identifier__init(&parts->place);
    parts->place.mountpoint = (char *)numbers->mountpoint;
    parts->layer.timestamp = measurement->at_ns;
    parts->layer.fs_id = &parts->place;
    parts->layer.used_bytes = value(parts, measurement->bytes);
    parts->layer.inodes_used = value(parts, measurement->inodes);
    return &parts->layer;
}

static void interface_fill(struct network_parts *parts, size_t i, const struct interface_counters *counters)
{
    Runtime__V1__NetworkInterfaceUsage *usage = &parts->interfaces[i];
    Runtime__V1__UInt64Value *values = &parts->values[4 * i];
    const uint64_t numbers[] = {counters->rx_bytes, counters->rx_errors, counters->tx_bytes, counters->tx_errors};

    for (size_t n = 0; n < 4; n++) {
        runtime__v1__uint64_value__init(&values[n]);
        values[n].value = numbers[n];
    }
    runtime__v1__network_interface_usage__init(usage);
    usage->name = (char *)counters->name;
    usage->rx_bytes = &values[0];
    usage->rx_errors = &values[1];
    usage->tx_bytes = &values[2];
    usage->tx_errors = &values[3];
}

Runtime__V1__NetworkUsage *stats_network(struct network_parts *parts, const struct interface_counters *counters, size_t count,
                                         const char *default_name, int64_t at_ns)
{
    size_t chosen = 0;

    if (count == 0)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        interface_fill(parts, i, &counters[i]);
        if (strcmp(counters[i].name, default_name) == 0)
            chosen = i;
    }
    runtime__v1__network_usage__init(&parts->usage);
    parts->usage.timestamp = at_ns;
    parts->usage.default_interface = &parts->interfaces[chosen];
    parts->usage.interfaces = parts->pointers;
    for (size_t i = 0; i < count; i++)
        if (i != chosen)
            parts->pointers[parts->usage.n_interfaces++] = &parts->interfaces[i];
    return &parts->usage;
}
