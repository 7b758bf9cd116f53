/* SPDY's bytes: frames, header blocks, and a session that is fed by the byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "common/memory.h"
#include "services/criapi/stream/spdy_frame.h"
#include "services/criapi/stream/spdy_headers.h"
#include "services/criapi/stream/spdy_session.h"

/* ---- frames ---- */

static void a_frame_is_read_as_it_was_written(void **state)
{
    static const uint8_t syn[] = {0x80, 3, 0, 1, 1, 0, 0x12, 0x34},
                         data[] = {0x7f, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff};
    uint8_t again[SPDY_HEAD_SIZE];
    struct spdy_frame frame;

    (void)state;
    spdy_frame_parse(syn, &frame);
    assert_true(frame.is_control);
    assert_int_equal(frame.version, 3);
    assert_int_equal(frame.type, SPDY_SYN_STREAM);
    assert_int_equal(frame.flags, SPDY_FLAG_FIN);
    assert_int_equal(frame.length, 0x1234);
    spdy_frame_format(&frame, again);
    assert_memory_equal(again, syn, sizeof(syn));
    spdy_frame_parse(data, &frame);
    assert_false(frame.is_control);
    assert_int_equal(frame.stream_id, SPDY_STREAM_MAX);
    assert_int_equal(frame.length, 0xffffff);
    spdy_frame_format(&frame, again);
    assert_memory_equal(again, data, sizeof(data));
}

static void a_setting_is_found_only_in_a_whole_frame(void **state)
{
    static const uint8_t payload[] = {0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 9, 1, 0, 0, 7, 0, 1, 0, 0};
    uint32_t value = 0;

    (void)state;
    assert_true(spdy_setting_find(payload, sizeof(payload), SPDY_SETTING_INITIAL_WINDOW, &value));
    assert_int_equal(value, 65536);
    assert_false(spdy_setting_find(payload, sizeof(payload), 5, &value));
    for (size_t size = 0; size < sizeof(payload); size++)
        assert_false(spdy_setting_find(payload, size, SPDY_SETTING_INITIAL_WINDOW, &value));
}

/* ---- header blocks ---- */

static size_t block_make(uint8_t *to, const char *const *pairs)
{
    size_t size = 4;
    uint32_t count = 0;

    for (; *pairs; pairs++, count++) {
        size_t length = strlen(*pairs);
        spdy_number_format((uint32_t)length, to + size);
        memcpy(to + size + 4, *pairs, length);
        size += 4 + length;
    }
    spdy_number_format(count / 2, to);
    return size;
}

static void blocks_are_uncompressed_one_after_the_other(void **state)
{
    struct spdy_deflater deflater;
    struct spdy_inflater inflater;
    uint8_t plain[512];

    (void)state;
    spdy_deflater_init(&deflater);
    spdy_inflater_init(&inflater);
    for (int i = 0; i < 3; i++) {
        size_t size, packed_size, back_size;
        size = block_make(plain, (const char *const[]){"streamtype", i ? "data" : "error", "port", "80", NULL});
        autofree uint8_t *packed = spdy_deflate(&deflater, plain, size, &packed_size), *back = NULL;
        assert_null(spdy_inflate(&inflater, packed, packed_size, &back, &back_size));
        assert_int_equal(back_size, size);
        assert_memory_equal(back, plain, size);
        autoptr(spdy_headers) headers = NULL;
        assert_null(spdy_headers_parse(back, back_size, &headers));
        assert_string_equal(spdy_headers_find(headers, "streamtype"), i ? "data" : "error");
        assert_string_equal(spdy_headers_find(headers, "port"), "80");
        assert_string_equal(spdy_headers_find(headers, "requestid"), "");
    }
    spdy_deflater_fini(&deflater);
    spdy_inflater_fini(&inflater);
}

static void a_block_that_grows_without_end_is_refused(void **state)
{
    struct spdy_deflater deflater;
    struct spdy_inflater inflater;
    autofree uint8_t *plain = xcalloc(1, SPDY_BLOCK_MAX + 1), *back = NULL;
    size_t packed_size, back_size;

    (void)state;
    spdy_deflater_init(&deflater);
    spdy_inflater_init(&inflater);
    autofree uint8_t *packed = spdy_deflate(&deflater, plain, SPDY_BLOCK_MAX + 1, &packed_size);
    autoptr(error) failure = spdy_inflate(&inflater, packed, packed_size, &back, &back_size);
    assert_int_equal(failure->code, ERROR_RESOURCE_EXHAUSTED);
    spdy_deflater_fini(&deflater);
    spdy_inflater_fini(&inflater);
}

static void names_that_are_wrong_are_refused(void **state)
{
    static const char *const wrong[][5] = {{"", "x", NULL}, {"Name", "x", NULL}, {"a", "x", "a", "y", NULL}};
    uint8_t plain[256];

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct spdy_headers *headers = NULL;
        size_t size = block_make(plain, wrong[i]);
        autoptr(error) failure = spdy_headers_parse(plain, size, &headers);
        assert_int_equal(failure->code, ERROR_INVALID_ARGUMENT);
        assert_null(headers);
    }
    size_t size = block_make(plain, (const char *const[]){"port", "80", NULL});
    for (size_t cut = 0; cut < size; cut++) {
        struct spdy_headers *headers = NULL;
        autoptr(error) failure = spdy_headers_parse(plain, cut, &headers);
        assert_int_equal(failure->code, ERROR_INVALID_ARGUMENT);
    }
}

/* ---- a session ---- */

struct world {
    struct transport *transport;
    struct buffer out;
    struct channel *last;
    struct spdy_deflater deflater;
};

static void sink_write(void *argument, const void *data, size_t size)
{
    buffer_append(&((struct world *)argument)->out, data, size);
}

static size_t sink_pending(const void *argument)
{
    return ((const struct world *)argument)->out.size;
}

static struct error *owner_opened(void *argument, struct channel *channel, const struct channel_request *request)
{
    ((struct world *)argument)->last = channel;
    return request->type[0] ? NULL : error_new(ERROR_INVALID_ARGUMENT, "no type");
}

static void world_init(struct world *world)
{
    struct byte_sink sink = {.write = sink_write, .pending = sink_pending, .argument = world};
    struct channel_owner owner = {.opened = owner_opened, .argument = world};

    *world = (struct world){.transport = spdy_session_new(&sink, &owner)};
    spdy_deflater_init(&world->deflater);
}

static void world_fini(struct world *world)
{
    world->transport->functions->free(world->transport);
    spdy_deflater_fini(&world->deflater);
    buffer_fini(&world->out);
}

static size_t syn_make(struct world *world, uint32_t stream, const char *const *pairs, uint8_t *to)
{
    uint8_t plain[256];
    size_t packed_size, size = block_make(plain, pairs);
    autofree uint8_t *packed = spdy_deflate(&world->deflater, plain, size, &packed_size);
    struct spdy_frame frame = {
        .is_control = true, .version = 3, .type = SPDY_SYN_STREAM, .length = (uint32_t)(10 + packed_size)};

    spdy_frame_format(&frame, to);
    memset(to + 8, 0, 10);
    spdy_number_format(stream, to + 8);
    memcpy(to + 18, packed, packed_size);
    return 18 + packed_size;
}

static struct error *feed(struct world *world, const void *data, size_t size, size_t *ret_taken)
{
    return world->transport->functions->feed(world->transport, data, size, ret_taken);
}

static void a_session_may_come_byte_by_byte(void **state)
{
    uint8_t bytes[512];
    struct world world;
    size_t taken;

    (void)state;
    world_init(&world);
    size_t size = syn_make(&world, 1, (const char *const[]){"streamtype", "stdin", NULL}, bytes);
    memcpy(bytes + size, "\x00\x00\x00\x01\x01\x00\x00\x03yes", 11);
    for (size_t i = 0; i < size + 11; i++) {
        assert_null(feed(&world, bytes + i, 1, &taken));
        assert_int_equal(taken, 1);
    }
    assert_int_equal(world.last->in.size, 3);
    assert_memory_equal(buffer_head(&world.last->in), "yes", 3);
    assert_true(world.last->in_ended);
    assert_false(world.last->out_ended);
    world_fini(&world);
}

static void a_full_channel_stops_the_reading_until_it_is_used(void **state)
{
    autofree uint8_t *bytes = xcalloc(1, 400000);
    struct world world;
    size_t taken, total = 0;

    (void)state;
    world_init(&world);
    size_t size = syn_make(&world, 1, (const char *const[]){"streamtype", "stdin", NULL}, bytes);
    assert_null(feed(&world, bytes, size, &taken));
    assert_null(feed(&world, "\x00\x00\x00\x01\x00\x06\x00\x00", 8, &taken)); /* 393216 bytes to come */
    memset(bytes, 0, 400000);
    while (!world.transport->functions->is_full(world.transport)) {
        assert_null(feed(&world, bytes, 10000, &taken));
        total += taken;
    }
    assert_true(total < CHANNEL_IN_MAX + 10000);
    assert_null(feed(&world, bytes, 10000, &taken));
    assert_int_equal(taken, 0);
    world.transport->functions->consume(world.transport, world.last, 20000);
    assert_null(feed(&world, bytes, 10000, &taken));
    assert_int_equal(taken, 10000);
    world_fini(&world);
}

static void many_channels_together_have_a_bound_too(void **state)
{
    autofree uint8_t *bytes = xcalloc(1, 65536 + SPDY_HEAD_SIZE);
    struct world world;
    size_t taken, total = 0;

    (void)state;
    world_init(&world);
    for (uint32_t stream = 1; stream < 2000; stream += 2) {
        uint8_t syn[512];
        size_t size = syn_make(&world, stream, (const char *const[]){"streamtype", "data", NULL}, syn);
        assert_null(feed(&world, syn, size, &taken));
        struct spdy_frame frame = {.length = 65536, .stream_id = stream};
        spdy_frame_format(&frame, bytes);
        assert_null(feed(&world, bytes, 65536 + SPDY_HEAD_SIZE, &taken));
        total += taken;
        if (world.transport->functions->is_full(world.transport))
            break;
    }
    assert_true(total < SESSION_IN_MAX + 200000);
    assert_true(world.transport->functions->is_full(world.transport));
    world.transport->functions->release(world.transport, world.transport->channels->next);
    assert_false(world.transport->functions->is_full(world.transport));
    world_fini(&world);
}

static void room_is_what_windows_and_the_waiting_bytes_leave(void **state)
{
    uint8_t bytes[512];
    struct world world;
    size_t taken;

    (void)state;
    world_init(&world);
    const struct transport_functions *functions = world.transport->functions;
    size_t size = syn_make(&world, 1, (const char *const[]){"streamtype", "stdout", NULL}, bytes);
    assert_null(feed(&world, bytes, size, &taken));
    buffer_fini(&world.out);
    for (int i = 0; i < 10; i++) { /* a client without windows: only what waits counts */
        assert_int_equal(functions->room(world.transport, world.last), TRANSPORT_OUT_MAX);
        functions->send(world.transport, world.last, bytes, 500);
        assert_int_equal(functions->room(world.transport, world.last), TRANSPORT_OUT_MAX - 508);
        buffer_fini(&world.out);
    }
    assert_null(feed(&world, "\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x0a", 16, &taken));
    assert_int_equal(functions->room(world.transport, world.last), 65536 - 5000 + 10); /* what went before counts */
    autoptr(error) overflow =
        feed(&world, "\x80\x03\x00\x09\x00\x00\x00\x08\x00\x00\x00\x01\x7f\xff\xff\xff", 16, &taken);
    assert_null(overflow);
    assert_true(world.last->is_reset);
    world_fini(&world);
}

static void streams_of_wrong_numbers_are_reset(void **state)
{
    static const uint32_t numbers[] = {3, 3, 1, 4, 0};
    struct world world;

    (void)state;
    world_init(&world);
    for (size_t i = 0; i < 5; i++) {
        uint8_t bytes[512];
        size_t taken, size = syn_make(&world, numbers[i], (const char *const[]){"streamtype", "x", NULL}, bytes);
        buffer_fini(&world.out);
        assert_null(feed(&world, bytes, size, &taken));
        struct spdy_frame frame;
        spdy_frame_parse(buffer_head(&world.out), &frame);
        assert_int_equal(frame.type, i == 0 ? SPDY_SYN_REPLY : SPDY_RST_STREAM);
    }
    assert_int_equal(world.transport->count, 1);
    world_fini(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_read_as_it_was_written),
        cmocka_unit_test(a_setting_is_found_only_in_a_whole_frame),
        cmocka_unit_test(blocks_are_uncompressed_one_after_the_other),
        cmocka_unit_test(a_block_that_grows_without_end_is_refused),
        cmocka_unit_test(names_that_are_wrong_are_refused),
        cmocka_unit_test(a_session_may_come_byte_by_byte),
        cmocka_unit_test(a_full_channel_stops_the_reading_until_it_is_used),
        cmocka_unit_test(many_channels_together_have_a_bound_too),
        cmocka_unit_test(room_is_what_windows_and_the_waiting_bytes_leave),
        cmocka_unit_test(streams_of_wrong_numbers_are_reset),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
