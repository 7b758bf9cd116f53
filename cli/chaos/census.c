/* Where each thing that may be left behind is counted. */
#include "cli/chaos/census.h"

#include <dirent.h>
#include <ftw.h>
#include <net/if.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/chaos/cgroups.h"
#include "cli/chaos/processes.h"
#include "common/clock.h"
#include "common/memory.h"

enum { PAUSE_US = 250000, REST_S = 60 };
static const int64_t limit_ns = 40000000000;
static const char rules_name[] = "iptables rules";

__attribute__((format(printf, 3, 4))) static void entry_add(struct census *census, size_t count, const char *format, ...)
{
    va_list arguments;

    if (census->count == CENSUS_MAX)
        return;
    va_start(arguments, format);
    vsnprintf(census->entries[census->count].name, CENSUS_NAME_SIZE, format, arguments);
    va_end(arguments);
    census->entries[census->count++].count = (long)count;
}

static size_t lines_count(FILE *file, const char *first, const char *second)
{
    size_t count = 0, room = 0;
    char *line = NULL;

    while (file && getline(&line, &room, file) > 0)
        count += strstr(line, first) || (second && strstr(line, second));
    free(line);
    return count;
}

/* Below root and state; of another runtime all, as it is not known where its own are. */
static size_t mounts_count(const struct chaos *chaos)
{
    autofree char *root = xasprintf(" %s/", chaos->config->root), *state = xasprintf(" %s/", chaos->config->state);
    FILE *file = fopen("/proc/self/mountinfo", "re");
    size_t count = lines_count(file, chaos->options->kill ? " " : root, state);

    if (file)
        fclose(file);
    return count;
}

static size_t rules_count(void)
{
    FILE *output = popen("iptables-save 2>/dev/null", "re");
    size_t count = lines_count(output, "-A CNI-", "-A POSTROUTING -s ");

    if (output)
        pclose(output);
    return count;
}

static size_t interfaces_count(void)
{
    struct if_nameindex *all = if_nameindex();
    size_t count = 0;

    while (all && all[count].if_index)
        count++;
    if_freenameindex(all);
    return count;
}

static _Thread_local size_t found; /* nftw's callback has no argument */

static int file_count(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)path, (void)info, (void)type;
    found += where->level > 0;
    return 0;
}

static int lease_count(const char *path, const struct stat *info, int type, struct FTW *where)
{
    const char *name = path + where->base;

    (void)info;
    found += type == FTW_F && strchr("0123456789", *name) && strpbrk(name, ".:");
    return 0;
}

static size_t below(const char *directory, const char *name, __nftw_func_t count)
{
    autofree char *path = xasprintf("%s/%s", directory, name);

    found = 0;
    nftw(path, count, 16, FTW_PHYS | FTW_MOUNT);
    return found;
}

static size_t leases_count(const struct chaos *chaos)
{
    return chaos->node ? below(chaos->config->cni_conf_dir, "../ipam", lease_count)
                       : below("/var/lib/cni", "networks", lease_count);
}

static size_t descriptors_count(pid_t pid)
{
    autofree char *path = xasprintf("/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    size_t count = 0;

    for (const struct dirent *entry; directory && (entry = readdir(directory));)
        count += entry->d_name[0] != '.';
    if (directory)
        closedir(directory);
    return count;
}

static void processes_add(struct census *census, const struct chaos *chaos)
{
    struct processes processes;
    size_t fds[TARGET_COUNT] = {0};
    regex_t match;
    bool has_match = chaos->options->kill && regcomp(&match, chaos->options->kill, REG_EXTENDED | REG_NOSUB) == 0;

    processes_read(chaos->config->state, has_match ? &match : NULL, &processes);
    for (size_t i = 0; i < processes.count; i++)
        fds[processes.all[i].target] += descriptors_count(processes.all[i].pid);
    for (enum target target = 0; target < TARGET_COUNT; target++) {
        if (has_match != (target == TARGET_MATCH))
            continue;
        entry_add(census, processes_count(&processes, target), "processes: %s", target_name(target));
        if (has_match || !target_is_child(target))
            entry_add(census, fds[target], "descriptors of %s", target_name(target));
    }
    processes_free(&processes);
    if (has_match)
        regfree(&match);
}

static struct error *listed_add(struct census *census, struct caller *caller)
{
    char **ids = NULL;
    size_t count = 0;

    TRY(call_list_pods(caller, NULL, &ids, &count));
    ids_free(ids, count);
    entry_add(census, count, "pods listed");
    TRY(call_list_containers(caller, &ids, &count));
    ids_free(ids, count);
    entry_add(census, count, "containers listed");
    TRY(call_list_images(caller, &count));
    entry_add(census, count, "images listed");
    return NULL;
}

static void files_add(struct census *census, const struct config *config)
{
    entry_add(census, below(config->root, "sandboxd/pods", file_count), "records of pods");
    entry_add(census, below(config->root, "sandboxd/containers", file_count), "records of containers");
    entry_add(census, below(config->root, "shim", file_count), "writable layers");
    entry_add(census, below(config->state, "shim", file_count), "state of shims");
    entry_add(census, cgroups_count_tree(config->state), "cgroups of daemons");
}

struct error *census_take(struct caller *caller, struct census *ret)
{
    const struct chaos *chaos = caller->chaos;

    *ret = (struct census){0};
    TRY(listed_add(ret, caller));
    entry_add(ret, mounts_count(chaos), "mounts");
    entry_add(ret, interfaces_count(), "network interfaces");
    entry_add(ret, rules_count(), "%s", rules_name);
    entry_add(ret, leases_count(chaos), "addresses leased");
    entry_add(ret, cgroups_count(chaos->cgroup_parent), "cgroups of pods");
    if (!chaos->options->kill)
        files_add(ret, chaos->config);
    processes_add(ret, chaos);
    return NULL;
}

struct error *census_take_at_rest(struct caller *caller, struct census *ret)
{
    TRY(census_take(caller, ret));
    for (unsigned i = 0; i < REST_S; i++) {
        struct census before = *ret;
        sleep(1);
        TRY(census_take(caller, ret));
        if (!memcmp(&before, ret, sizeof(before)))
            break;
    }
    return NULL;
}

/* A plugin that is killed in the middle of its work loses sight of rules that it has made, and a second DEL does not find
 * them: CNI has no name for that. */
static bool is_plugins_own(const struct chaos *chaos, const char *name)
{
    return targets_have(chaos->options->targets, TARGET_CNI) && !strcmp(name, rules_name);
}

static bool is_within(const struct chaos *chaos, const struct census *now, const struct census *before)
{
    for (size_t i = 0; i < now->count; i++)
        if (now->entries[i].count > before->entries[i].count && !is_plugins_own(chaos, now->entries[i].name))
            return false;
    return true;
}

struct error *census_compare(struct caller *caller, const struct census *before, struct census *ret)
{
    int64_t end = clock_boottime_ns() + limit_ns;

    TRY(census_take(caller, ret));
    while (!is_within(caller->chaos, ret, before) && clock_boottime_ns() < end) {
        usleep(PAUSE_US);
        TRY(census_take(caller, ret));
    }
    for (size_t i = 0; i < ret->count; i++)
        if (ret->entries[i].count > before->entries[i].count && !is_plugins_own(caller->chaos, ret->entries[i].name))
            recorder_violation(caller->chaos->recorder, VIOLATION_REMAINS, "%s: %ld before, %ld after", ret->entries[i].name,
                               before->entries[i].count, ret->entries[i].count);
    return NULL;
}

json_t *census_describe(const struct census *census)
{
    json_t *all = json_object();

    for (size_t i = 0; i < census->count; i++)
        json_object_set_new(all, census->entries[i].name, json_integer(census->entries[i].count));
    return all;
}
