/* Tokens of streaming sessions: when one counts, and how they outlive a shim. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/failpoint.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/memory.h"
#include "common/process_id.h"
#include "common/record.h"
#include "services/sandboxd/shim/container.h"
#include "services/sandboxd/shim/exec.h"
#include "services/sandboxd/shim/handlers.h"
#include "services/sandboxd/shim/session.h"
#include "services/sandboxd/shim/shim.h"

enum { SWEEP_MS = 1000, UNJOINED_LIMIT_MS = 60000, AWAITED_LIMIT_MS = 1000, NS_PER_MS = 1000000, MS_PER_S = 1000 };

static bool is_hexadecimal(const char *text, size_t length)
{
    return strlen(text) == length && strspn(text, "0123456789abcdef") == length;
}

struct token *token_find(const struct shim *shim, const char *secret)
{
    struct token *token = shim->streams.tokens;

    while (token && strcmp(token->secret, secret) != 0)
        token = token->next;
    return token;
}

struct error *token_save(struct shim *shim, const struct token *token)
{
    return record_save(shim->streams.tokens_fd, token->secret, "stream token", TOKEN_VERSION, &token->record,
                       sizeof(token->record));
}

static struct token *token_new(struct shim *shim, const char *secret)
{
    struct token *token = xcalloc(1, sizeof(*token));

    snprintf(token->secret, sizeof(token->secret), "%s", secret);
    token->next = shim->streams.tokens;
    shim->streams.tokens = token;
    return token;
}

void token_forget(struct shim *shim, struct token *token)
{
    struct token **at = &shim->streams.tokens;

    if (token->record.kind == STREAM_EXEC && !exec_find(shim, token->secret))
        exec_remove_files(shim, token->secret); /* nothing was ever run for it */
    error_free(record_remove(shim->streams.tokens_fd, token->secret));
    while (*at != token)
        at = &(*at)->next;
    *at = token->next;
    free(token);
}

void tokens_container_gone(struct shim *shim, const char *container)
{
    for (struct token *token = shim->streams.tokens, *next; token; token = next) {
        next = token->next;
        if (!token->record.is_burned && strcmp(token->record.container, container) == 0)
            token_forget(shim, token);
    }
}

/* --- their time --------------------------------------------------------------------------------------------------- */

static bool is_expired(const struct token_record *record)
{
    int64_t now_ns = clock_boottime_ns();

    return strcmp(record->boot_id, boot_id()) != 0 || now_ns < record->made_ns || now_ns >= record->expires_ns;
}

/* A session that a predecessor had, and whose process has not come back, is over. */
static void token_abandon(struct shim *shim, struct token *token)
{
    if (token->record.kind == STREAM_EXEC)
        session_exec_closed(shim, token);
    else if (token->record.kind == STREAM_ATTACH)
        session_attach_closed(shim, token);
    token_forget(shim, token);
}

static void tokens_sweep(struct shim *shim, void *owner)
{
    int64_t now_ns = clock_boottime_ns();

    (void)owner;
    for (struct token *token = shim->streams.tokens, *next; token; token = next) {
        next = token->next;
        if (!token->record.is_burned && is_expired(&token->record))
            token_forget(shim, token);
        else if (token->unjoined_ns && now_ns >= token->unjoined_ns)
            token_abandon(shim, token);
    }
    bool is_left = session_execs_sweep(shim);
    if (is_left || shim->streams.tokens)
        loop_arm(&shim->loop, &shim->streams.sweep, SWEEP_MS);
}

static void sweep_arm(struct shim *shim)
{
    shim->streams.sweep.fire = tokens_sweep;
    if (!shim->streams.sweep.when_ns)
        loop_arm(&shim->loop, &shim->streams.sweep, SWEEP_MS);
}

/* A test shortens these by a file among its failpoints, of so many milliseconds. */
static int64_t limit_ms(const char *name, int64_t otherwise)
{
#ifdef BULKHEAD_FAILPOINTS
    const char *directory = getenv("BULKHEAD_FAILPOINT_DIR");
    autofree char *path = xasprintf("%s/%s", directory ? directory : "", name);
    autofree char *text = NULL;
    size_t size;

    autoptr(error) absent = file_read_all(path, 32, &text, &size);
    return absent ? otherwise : strtoll(text, NULL, 10);
#else
    (void)name;
    return otherwise;
#endif
}

/* --- used once ---------------------------------------------------------------------------------------------------- */

static struct error *token_burn(struct shim *shim, struct token *token, const char *key)
{
    token->record.is_burned = 1;
    snprintf(token->record.key, sizeof(token->record.key), "%s", key);
    FAILPOINT("shim.stream.before_burn");
    struct error *failure = token_save(shim, token);
    FAILPOINT("shim.stream.after_burn");
    if (failure)
        token->record.is_burned = 0;
    return failure;
}

struct error *token_open(struct shim *shim, const struct stream_message *open, struct token **ret)
{
    struct token *token = token_find(shim, open->secret);

    if (!is_hexadecimal(open->key, STREAM_KEY_SIZE - 1))
        return error_new(ERROR_INVALID_ARGUMENT, "the session's key is not %d hexadecimal digits", STREAM_KEY_SIZE - 1);
    if (!token || token->record.kind != open->kind)
        return error_new(ERROR_NOT_FOUND, "no such session");
    bool is_own = token->record.is_burned && strcmp(token->record.key, open->key) == 0;
    if (!is_own && (token->record.is_burned || is_expired(&token->record)))
        return error_new(ERROR_NOT_FOUND, "no such session");
    if (!is_own)
        TRY(token_burn(shim, token, open->key));
    token->unjoined_ns = 0;
    *ret = token;
    return NULL;
}

/* --- SHIM_STREAM_TOKEN -------------------------------------------------------------------------------------------- */

static struct error *token_check_container(const struct shim *shim, const struct step *step,
                                           struct token_record *record)
{
    const char *id;

    if (record->kind == STREAM_PORT_FORWARD)
        return NULL;
    TRY(step_container_name(step, &id));
    const struct container *container = container_find(shim, id);
    if (!container || container->is_deleting)
        return error_new(ERROR_NOT_FOUND, "no container %s", id);
    snprintf(record->container, sizeof(record->container), "%s", id);
    return NULL;
}

static struct error *token_check_count(const struct shim *shim)
{
    size_t count = 0;

    for (const struct token *token = shim->streams.tokens; token; token = token->next)
        count += !token->record.is_burned && !is_expired(&token->record);
    if (count >= STREAM_TOKENS_MAX)
        return error_new(ERROR_RESOURCE_EXHAUSTED, "maximum number of in-flight requests exceeded");
    return NULL;
}

static struct error *token_read(const struct shim *shim, const struct step *step, struct token_record *record)
{
    const char *secret = step_string(step, SHIM_TAG_PATH);

    *record = (struct token_record){
        .kind = (uint32_t)step_u64(step, SHIM_TAG_STREAM_KIND, 0),
        .flags = (uint32_t)step_u64(step, SHIM_TAG_STREAM_FLAGS, 0),
        .made_ns = clock_boottime_ns(),
    };
    record->expires_ns =
        record->made_ns + limit_ms("stream-token-life", (int64_t)STREAM_TOKEN_LIFE_S * MS_PER_S) * NS_PER_MS;
    snprintf(record->boot_id, sizeof(record->boot_id), "%s", boot_id());
    if (!secret || !is_hexadecimal(secret, STREAM_SECRET_SIZE - 1))
        return error_new(ERROR_INVALID_ARGUMENT, "the secret is not %d hexadecimal digits", STREAM_SECRET_SIZE - 1);
    if (record->kind < STREAM_EXEC || record->kind > STREAM_PORT_FORWARD)
        return error_new(ERROR_INVALID_ARGUMENT, "no session of kind %u", record->kind);
    TRY(token_check_container(shim, step, record));
    return token_check_count(shim);
}

static struct error *token_add(struct shim *shim, const struct step *step)
{
    const char *secret = step_string(step, SHIM_TAG_PATH);
    const char *process = step_string(step, SHIM_TAG_PROCESS);
    struct token_record record;

    if (secret && token_find(shim, secret))
        return NULL; /* a predecessor did it */
    TRY(token_read(shim, step, &record));
    if (record.kind == STREAM_EXEC && !process)
        return error_new(ERROR_INVALID_ARGUMENT, "no process is given");
    if (record.kind == STREAM_EXEC)
        TRY(exec_write_process(shim, secret, process));
    FAILPOINT("shim.stream.before_token");
    struct token *token = token_new(shim, secret);
    token->record = record;
    struct error *failure = token_save(shim, token);
    FAILPOINT("shim.stream.after_token");
    if (failure)
        token_forget(shim, token);
    else
        sweep_arm(shim);
    return failure;
}

void stream_token(struct shim *shim, struct step *step)
{
    struct error *failure = token_add(shim, step);

    step_finish(shim, step, failure ? error_wrap(failure, "streaming session") : NULL);
}

/* --- a successor -------------------------------------------------------------------------------------------------- */

static void token_load(struct shim *shim, const char *secret)
{
    autofree void *data = NULL;
    size_t size = 0;
    uint32_t version;

    autoptr(error) failure =
        record_load(shim->streams.tokens_fd, secret, "stream token", TOKEN_VERSION, &version, &data, &size);
    if (failure || size != sizeof(struct token_record) || !is_hexadecimal(secret, STREAM_SECRET_SIZE - 1)) {
        log_warn("stream token set aside", "error=%s", log_quote(failure ? failure->text : "its size"));
        return;
    }
    struct token *token = token_new(shim, secret);
    memcpy(&token->record, data, size);
    if (token->record.is_burned)
        token->unjoined_ns = clock_boottime_ns() + limit_ms("stream-unjoined-limit", UNJOINED_LIMIT_MS) * NS_PER_MS;
}

void tokens_load(struct shim *shim)
{
    int fd = openat(shim->streams.tokens_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);

    if (!directory)
        return;
    for (const struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.' && !strchr(entry->d_name, '.'))
            token_load(shim, entry->d_name);
    closedir(directory);
    shim->streams.awaited_until_ns =
        clock_boottime_ns() + limit_ms("stream-awaited-limit", AWAITED_LIMIT_MS) * NS_PER_MS;
    sweep_arm(shim);
}
