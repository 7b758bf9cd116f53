/* `bulkhead run`: the backstop. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "services/supervisor/keeper/backstop.h"

int cli_run(const struct config *config, int argc, char **argv)
{
    if (argc != 1) {
        fprintf(stderr, "bulkhead run: unknown argument \"%s\"\n", argv[1]);
        return CLI_USAGE;
    }
    if (geteuid() != 0) {
        fprintf(stderr, "bulkhead run: must be root\n");
        return CLI_FAILED;
    }
    umask(022);
    return backstop_run(config);
}
