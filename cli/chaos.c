/* `bulkhead chaos`: a program of its own, as the backstop, which this one is, must stay small. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "common/memory.h"

int cli_chaos(const struct config *config, int argc, char **argv)
{
    const char *const common[][2] = {{"--config", config->file},       {"--root", config->root},
                                     {"--state", config->state},       {"--address", config->address},
                                     {"--log-level", config->log_level}, {"--programs", config->programs}};
    enum { COMMON = 2 * sizeof(common) / sizeof(common[0]) };
    autofree char *program = xasprintf("%s/bulkhead-chaos", config->programs);
    autofree char **arguments = xcalloc((size_t)argc + COMMON + 1, sizeof(*arguments));
    size_t count = 0;

    arguments[count++] = program;
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        if (!common[i][1])
            continue;
        arguments[count++] = (char *)common[i][0];
        arguments[count++] = (char *)common[i][1];
    }
    for (int i = 1; i < argc; i++)
        arguments[count++] = argv[i];
    execv(program, arguments);
    fprintf(stderr, "bulkhead chaos: cannot run %s: %s\n", program, strerror(errno));
    return CLI_USAGE;
}
