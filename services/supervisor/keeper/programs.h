/* The fixed table of what can be started, and by whom. */
#pragma once

#include "services/supervisor/keeper/keeper.h"

struct program {
    const char *name;          /* the program is bulkhead-NAME */
    enum config_user spawner;  /* whose processes may ask for it; root always may */
    enum config_user owner;    /* owner of ROOT/NAME and STATE/NAME */
    bool has_directories;      /* ROOT/NAME and STATE/NAME are made */
    bool has_instance;         /* takes the instance's name as last argument */
    bool has_notify;           /* speaks to the supervisor's NOTIFY_SOCKET */
    bool outlives_keeper;      /* not ended by SIGTERM: shims */
};

const struct program *program_get(enum keeper_program program);
bool program_is_valid(int32_t program);

/* May a process of this user spawn, kill and watch it? */
bool program_is_allowed(const struct keeper *keeper, enum keeper_program program, uid_t uid);

/* Opens every program of the table; one that is missing is logged, and tried again when it is asked for. */
void programs_open(struct keeper *keeper);
struct error *program_open(struct keeper *keeper, enum keeper_program program) __attribute__((warn_unused_result));

/* Makes ROOT, STATE, and the directories of each program with its owner, 0711 (the shims' 0755: root's, but readable). */
struct error *program_directories_make(struct keeper *keeper) __attribute__((warn_unused_result));

/* STATE/shim/POD and ROOT/shim/POD. */
struct error *shim_directories_make(struct keeper *keeper, const char *pod) __attribute__((warn_unused_result));
