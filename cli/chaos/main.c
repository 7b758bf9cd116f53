/* `bulkhead-chaos`, which `bulkhead chaos` runs: what is made before a run and given back after it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/chaos/cgroups.h"
#include "cli/chaos/node.h"
#include "cli/chaos/run.h"
#include "common/log.h"
#include "common/memory.h"

enum { KEPT = 0, BROKEN = 1, NOT_BEGUN = 2 };

static void append(char **text, const char *word)
{
    char *before = *text;
    bool is_plain = strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=./:,@%+") == strlen(word);

    *text = xasprintf(is_plain ? "%s %s" : "%s '%s'", before, word);
    free(before);
}

/* The command line with the seed in it. */
static char *command_of(int argc, char **argv, uint64_t seed)
{
    char *text = xasprintf("bulkhead chaos --seed %llu", (unsigned long long)seed);

    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--seed"))
            i++;
        else if (strncmp(argv[i], "--seed=", 7) != 0)
            append(&text, argv[i]);
    }
    return text;
}

static void signals_block(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static struct error *logs_make(struct chaos *chaos, const char *directory)
{
    char template[] = "/tmp/bulkhead-chaos.XXXXXX";

    if (directory) {
        chaos->logs = xasprintf("%s/logs", directory);
        return mkdir(chaos->logs, 0755) < 0 ? error_errno(errno, "mkdir %s", chaos->logs) : NULL;
    }
    if (!mkdtemp(template) || chmod(template, 0755) < 0)
        return error_errno(errno, "make a directory for logs");
    chaos->logs = xstrdup(template);
    return NULL;
}

static char *cgroup_parent_choose(const struct options *options, const char *directory)
{
    if (options->cgroup_parent)
        return xstrdup(options->cgroup_parent);
    if (directory)
        return cgroup_parent_of(directory);
    return options->kill ? xstrdup("") : xasprintf("/bulkhead-chaos-%d", getpid());
}

/* directory: of the node to be started, NULL for a runtime that is there. */
static struct error *chaos_run(const struct options *options, const struct config *user, const char *directory,
                               const char *command, size_t *ret_violations)
{
    struct chaos chaos = {.options = options, .config = user, .book = book_new()};
    autoptr(config) own = NULL;

    snprintf(chaos.name, sizeof(chaos.name), "chaos-%llx-%x", (unsigned long long)options->seed, (unsigned)getpid());
    chaos.cgroup_parent = cgroup_parent_choose(options, directory);
    struct error *error = logs_make(&chaos, directory);
    if (!error && directory)
        error = node_configure(directory, user, &own);
    if (!error && directory) {
        chaos.config = own;
        error = node_start(directory, own, &chaos.node);
    }
    if (!error)
        error = run(&chaos, command, ret_violations);
    node_stop(chaos.node);
    if (!directory)
        rmdir(chaos.logs); /* what is in it belongs to a violation */
    cgroups_remove(chaos.cgroup_parent);
    recorder_free(chaos.recorder);
    book_free(chaos.book);
    free(chaos.cgroup_parent);
    free(chaos.logs);
    free(chaos.image);
    return error;
}

static int failed(struct error *error)
{
    fprintf(stderr, "bulkhead chaos: %s\n", error->text);
    error_free(error);
    return NOT_BEGUN;
}

int main(int argc, char **argv)
{
    autoptr(config) config = NULL;
    autofree char *directory = NULL;
    struct options options;
    size_t violations = 0;

    log_open("chaos", LOG_LEVEL_WARN);
    for (int i = 1; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
            options_help(stdout);
            return KEPT;
        }
    autofree char **words = xmemdup(argv, ((size_t)argc + 1) * sizeof(*argv)); /* the common flags are taken off argv */
    int word_count = argc;
    struct error *error = config_from_arguments(&argc, argv, &config);
    if (!error)
        error = options_parse(argc, argv, &options);
    if (error)
        return failed(error);
    if (geteuid() != 0)
        return failed(error_new(ERROR_PERMISSION_DENIED, "must be root"));
    autofree char *command = command_of(word_count, words, options.seed);
    if (options.is_node)
        error = node_enter(&options, &directory);
    if (error)
        return failed(error);
    signals_block();
    umask(022);
    error = chaos_run(&options, config, directory, command, &violations);
    if (error)
        return failed(error);
    return violations ? BROKEN : KEPT;
}
