/* The kernel's texts of statistics, rates, and CRI's messages of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/sandboxd/cpu_rate.h"
#include "services/sandboxd/stats_message.h"

static void pressure_is_read_line_by_line(void **state)
{
    struct pressure pressure = pressure_parse("some avg10=1.50 avg60=0.25 avg300=0.01 total=123456\n"
                                              "full avg10=0.00 avg60=0.00 avg300=0.00 total=99\n");

    (void)state;
    assert_true(pressure.is_there);
    assert_true(pressure.some.avg10 == 1.5 && pressure.some.avg60 == 0.25 && pressure.some.avg300 == 0.01);
    assert_int_equal(pressure.some.total_us, 123456);
    assert_int_equal(pressure.full.total_us, 99);
    pressure = pressure_parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"); /* an older kernel's, of the CPU */
    assert_true(pressure.is_there);
    assert_int_equal(pressure.full.total_us, 0);
    assert_false(pressure_parse("").is_there);
    assert_false(pressure_parse("some avg10=x\n").is_there);
}

static void device_is(const struct device_io *io, unsigned major, unsigned minor, uint64_t read_bytes, uint64_t written_bytes,
                      uint64_t reads, uint64_t writes)
{
    assert_int_equal(io->major, major);
    assert_int_equal(io->minor, minor);
    assert_int_equal(io->read_bytes, read_bytes);
    assert_int_equal(io->written_bytes, written_bytes);
    assert_int_equal(io->reads, reads);
    assert_int_equal(io->writes, writes);
}

static void io_of_devices_is_read_in_both_versions(void **state)
{
    struct device_list_io io = {0};

    (void)state;
    io_stat_parse("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=5 dios=6\n253:1 \n7:0 wbytes=4\n", &io);
    assert_int_equal(io.count, 3);
    device_is(&io.items[0], 8, 0, 10, 20, 1, 2);
    device_is(&io.items[1], 253, 1, 0, 0, 0, 0); /* nothing of the next line's */
    device_is(&io.items[2], 7, 0, 0, 4, 0, 0);
    io.count = 0;
    blkio_parse("8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\n8:16 Read 1\nTotal 31\n", true, &io);
    blkio_parse("8:0 Read 3\n8:0 Write 4\n8:16 Write 5\nTotal 12\n", false, &io);
    assert_int_equal(io.count, 2);
    device_is(&io.items[0], 8, 0, 10, 20, 3, 4);
    device_is(&io.items[1], 8, 16, 1, 0, 0, 5);
}

static void more_devices_than_are_shown_are_left_out(void **state)
{
    struct device_list_io io;
    char text[64 * 32] = "";

    (void)state;
    for (unsigned i = 0; i < 64; i++)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "8:%u rbytes=1\n", i);
    io_stat_parse(text, &io);
    assert_int_equal(io.count, DEVICES_SHOWN_MAX);
}

static void interfaces_are_read_without_the_loopback(void **state)
{
    static const char text[] =
        "Inter-|   Receive                                                |  Transmit\n"
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
        "    lo:    1000      10    0    0    0     0          0         0     1000      10    0    0    0     0       0          0\n"
        "  eth0:  123456     100    1    2    3     4          5         6    65432      50    7    8    9    10      11         12\n"
        "verylongname123:18446744073709551615 1 0 0 0 0 0 0 2 3 0 0 0 0 0 0\n";
    struct interface_counters counters[4];

    (void)state;
    assert_int_equal(net_dev_parse(text, counters, 4), 2);
    assert_string_equal(counters[0].name, "eth0");
    assert_int_equal(counters[0].rx_bytes, 123456);
    assert_int_equal(counters[0].rx_packets, 100);
    assert_int_equal(counters[0].rx_errors, 1);
    assert_int_equal(counters[0].rx_dropped, 2);
    assert_int_equal(counters[0].tx_bytes, 65432);
    assert_int_equal(counters[0].tx_packets, 50);
    assert_int_equal(counters[0].tx_errors, 7);
    assert_int_equal(counters[0].tx_dropped, 8);
    assert_string_equal(counters[1].name, "verylongname123");
    assert_true(counters[1].rx_bytes == UINT64_MAX);
    assert_int_equal(net_dev_parse(text, counters, 1), 1);
    assert_int_equal(net_dev_parse("", counters, 4), 0);
}

static void the_limit_of_open_files_is_found(void **state)
{
    uint64_t limit = 0;

    (void)state;
    assert_true(open_files_limit_parse("Limit Soft Hard Units\nMax open files            1024                 4096      files\n", &limit));
    assert_int_equal(limit, 1024);
    assert_true(open_files_limit_parse("Max open files            unlimited            unlimited files\n", &limit));
    assert_true(limit == UINT64_MAX);
    assert_false(open_files_limit_parse("Max processes 5 5 processes\n", &limit));
}

static void no_limit_is_none(void **state)
{
    (void)state;
    assert_int_equal(number_or_none("9223372036854771712\n"), 0);
    assert_int_equal(number_or_none("max\n"), 0);
    assert_int_equal(number_or_none("-1\n"), 0);
    assert_int_equal(number_or_none("65536\n"), 65536);
}

static void a_rate_is_measured_from_a_sample_that_is_old_enough(void **state)
{
    const int64_t second = 1000000000;
    struct cpu_rate rate = {0};
    uint64_t nano_cores = 0;

    (void)state;
    assert_true(cpu_rate_is_due(&rate, second));
    assert_false(cpu_rate_get(&rate, (struct cpu_sample){second, 5}, &nano_cores));
    cpu_rate_note(&rate, (struct cpu_sample){10 * second, 1000});
    assert_false(cpu_rate_is_due(&rate, 11 * second));
    assert_true(cpu_rate_is_due(&rate, 20 * second));
    assert_false(cpu_rate_get(&rate, (struct cpu_sample){10 * second + 5, 2000}, &nano_cores));
    assert_true(cpu_rate_get(&rate, (struct cpu_sample){12 * second, 1000 + 3 * second}, &nano_cores));
    assert_int_equal(nano_cores, 1500000000);
    cpu_rate_note(&rate, (struct cpu_sample){20 * second, 1000 + 10 * second});
    assert_true(cpu_rate_get(&rate, (struct cpu_sample){20 * second + 1, 1000 + 10 * second}, &nano_cores)); /* from the one before */
    assert_in_range(nano_cores, 999000000, 1000000000);
    cpu_rate_note(&rate, (struct cpu_sample){30 * second, 5}); /* begun anew: nothing to compare with */
    assert_false(cpu_rate_get(&rate, (struct cpu_sample){30 * second + 1, 6}, &nano_cores));
}

static struct stats_numbers numbers_full(void)
{
    struct stats_numbers numbers = {.at_ns = 77, .has_rate = true, .nano_cores = 5, .mountpoint = "/layers"};

    numbers.usage = (struct cgroup_usage){.has_cpu = true,
                                          .cpu_ns = 1,
                                          .has_memory = true,
                                          .memory_bytes = 100,
                                          .working_set_bytes = 60,
                                          .rss_bytes = 40,
                                          .limit_bytes = 50,
                                          .page_faults = 3,
                                          .major_page_faults = 2,
                                          .has_swap = true,
                                          .swap_bytes = 10,
                                          .has_swap_limit = true,
                                          .swap_limit_bytes = 30};
    numbers.usage.cpu_pressure = pressure_parse("some avg10=1.00 avg60=2.00 avg300=3.00 total=4\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=5\n");
    numbers.usage.io_pressure = numbers.usage.cpu_pressure;
    numbers.measurement = (struct measurement){.at_ns = 66, .bytes = 4096, .inodes = 2};
    return numbers;
}

static void messages_have_each_number_in_its_field(void **state)
{
    struct stats_numbers numbers = numbers_full();
    struct stats_parts parts = {0};
    const Runtime__V1__CpuUsage *cpu = stats_cpu(&parts, &numbers);
    const Runtime__V1__MemoryUsage *memory = stats_memory(&parts, &numbers);
    const Runtime__V1__SwapUsage *swap = stats_swap(&parts, &numbers);
    const Runtime__V1__IoUsage *io = stats_io(&parts, &numbers);
    const Runtime__V1__FilesystemUsage *layer = stats_writable_layer(&parts, &numbers);

    (void)state;
    assert_int_equal(cpu->usage_core_nano_seconds->value, 1);
    assert_int_equal(cpu->usage_nano_cores->value, 5);
    assert_int_equal(cpu->psi->some->total, 4000); /* nanoseconds */
    assert_int_equal(cpu->psi->full->total, 5000);
    assert_true(cpu->psi->some->avg300 == 3.0);
    assert_int_equal(memory->usage_bytes->value, 100);
    assert_int_equal(memory->working_set_bytes->value, 60);
    assert_int_equal(memory->available_bytes->value, 0);
    assert_null(memory->psi);
    assert_int_equal(swap->swap_usage_bytes->value, 10);
    assert_int_equal(swap->swap_available_bytes->value, 20);
    assert_int_equal(io->psi->some->total, 4000);
    assert_int_equal(layer->used_bytes->value, 4096);
    assert_int_equal(layer->inodes_used->value, 2);
    assert_string_equal(layer->fs_id->mountpoint, "/layers");
    assert_int_equal(layer->timestamp, 66);
    assert_in_range(parts.value_count, 1, STATS_VALUES_MAX);
}

static void what_is_not_known_is_not_told(void **state)
{
    struct stats_numbers numbers = {.at_ns = 77};
    struct stats_parts parts = {0};

    (void)state;
    assert_null(stats_cpu(&parts, &numbers));
    assert_null(stats_memory(&parts, &numbers));
    assert_null(stats_swap(&parts, &numbers));
    assert_null(stats_io(&parts, &numbers));
    assert_null(stats_writable_layer(&parts, &numbers));
    numbers.usage.has_cpu = true;
    assert_null(stats_cpu(&parts, &numbers)->usage_nano_cores);
}

static void the_interface_of_cni_is_the_default(void **state)
{
    struct interface_counters counters[] = {{.name = "net1", .rx_bytes = 1}, {.name = "eth0", .rx_bytes = 2, .tx_errors = 9}};
    struct network_parts parts = {0};
    const Runtime__V1__NetworkUsage *usage = stats_network(&parts, counters, 2, "eth0", 55);

    (void)state;
    assert_string_equal(usage->default_interface->name, "eth0");
    assert_int_equal(usage->default_interface->rx_bytes->value, 2);
    assert_int_equal(usage->default_interface->tx_errors->value, 9);
    assert_int_equal(usage->n_interfaces, 1);
    assert_string_equal(usage->interfaces[0]->name, "net1");
    parts = (struct network_parts){0};
    assert_string_equal(stats_network(&parts, counters, 1, "eth0", 55)->default_interface->name, "net1");
    assert_null(stats_network(&parts, counters, 0, "eth0", 55));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pressure_is_read_line_by_line),
        cmocka_unit_test(io_of_devices_is_read_in_both_versions),
        cmocka_unit_test(more_devices_than_are_shown_are_left_out),
        cmocka_unit_test(interfaces_are_read_without_the_loopback),
        cmocka_unit_test(the_limit_of_open_files_is_found),
        cmocka_unit_test(no_limit_is_none),
        cmocka_unit_test(a_rate_is_measured_from_a_sample_that_is_old_enough),
        cmocka_unit_test(messages_have_each_number_in_its_field),
        cmocka_unit_test(what_is_not_known_is_not_told),
        cmocka_unit_test(the_interface_of_cni_is_the_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
