/* The images, layers and leases of this node, in memory and on disk. Every function takes the store's lock but where it says otherwise. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "services/imaged/digest.h"
#include "services/imaged/image_config.h"

struct layer {
    char chain[DIGEST_TEXT_SIZE];
    char diff_id[DIGEST_TEXT_SIZE];
    uint64_t bytes, inodes;
    bool is_synced; /* survives a power cut */
};

struct image {
    char id[DIGEST_TEXT_SIZE];
    struct text_list tags;    /* "docker.io/library/busybox:latest" */
    struct text_list digests; /* "docker.io/library/busybox@sha256:..." */
    struct text_list chains;  /* of its layers, the lowest first */
    char *config_text;
    struct image_config *config;
};

struct lease {
    char *id;
    struct text_list chains;
    uint8_t *reply; /* what LeaseImage answered, packed */
    size_t reply_size;
};

struct store {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* claims, and work for the sweeper */
    char *directory;        /* ROOT/imaged */
    int images_fd, layers_fd, records_fd, leases_fd, blobs_fd;
    struct image **images;
    size_t image_count;
    struct layer *layers;
    size_t layer_count;
    struct lease *leases;
    size_t lease_count;
    struct text_list pins;   /* chains that pulls need */
    struct text_list claims; /* chains that somebody works on */
    bool is_sweep_wanted;
};

void text_list_add(struct text_list *list, const char *text);
bool text_list_has(const struct text_list *list, const char *text);
/* Takes one occurrence out; false if there is none. */
bool text_list_drop(struct text_list *list, const char *text);
void text_list_fini(struct text_list *list);

/* Makes the directories and reads the records. What is damaged or belongs to an unsynced layer of another boot is dropped, and logged. */
struct error *store_open(struct store *store, const char *directory, int root_fd) __attribute__((warn_unused_result));

struct image *image_new(const char *id);
void image_free(struct image *image);
DEFINE_AUTOPTR(image)

/* Lock held: by id (whole or cut short, if only one begins so), tag or digest reference. NULL: none. INVALID_ARGUMENT: the name is none. */
struct error *store_find(struct store *store, const char *name, struct image **ret) __attribute__((warn_unused_result));

/* Lock held. */
uint64_t image_bytes(const struct store *store, const struct image *image);

/* Adds the image, or its names to the one of the same id; a tag is taken away from any other. Takes the image. */
struct error *store_image_put(struct store *store, struct image *image) __attribute__((warn_unused_result));

/* Removes the image of that name with all its references; none is fine. Its layers go when nothing else needs them. */
struct error *store_image_remove(struct store *store, const char *name) __attribute__((warn_unused_result));

/* A pin keeps a layer that is there, or will be, from the sweeper. */
void store_pin(struct store *store, const struct text_list *chains);
void store_unpin(struct store *store, const struct text_list *chains);

/* Waits until nobody works on the layer. True: it is there. False: it is not, and the caller has it claimed. */
bool store_layer_claim(struct store *store, const char *chain);
void store_layer_release(struct store *store, const char *chain);

/* The names of a layer's directory while it is made, and of its blob; the caller frees them. */
char *store_layer_making(const char *chain);
char *store_blob_name(const char *chain);

/* Makes what is in the layer's working directory the layer. */
struct error *store_layer_publish(struct store *store, const struct layer *layer) __attribute__((warn_unused_result));

/* Answers as LeaseImageReply, packed with malloc. NOT_FOUND: no such image. ALREADY_EXISTS: the lease is of another image. */
struct error *store_lease(struct store *store, const char *lease_id, const char *name, uint8_t **ret_reply, size_t *ret_size)
    __attribute__((warn_unused_result));

/* Both take an owner's leases together: OWNER and OWNER.N. */
struct error *store_lease_release(struct store *store, const char *lease_id) __attribute__((warn_unused_result));
struct error *store_leases_keep(struct store *store, char *const *lease_ids, size_t count) __attribute__((warn_unused_result));

/* Lock held, while store_open runs. */
struct error *store_leases_load(struct store *store) __attribute__((warn_unused_result));

/* Lock held: does anything need the layer? */
bool store_layer_is_needed(const struct store *store, const char *chain);
struct layer *store_layer_find(const struct store *store, const char *chain);
struct error *layer_save(const struct store *store, const struct layer *layer) __attribute__((warn_unused_result));
void store_sweep_want(struct store *store);
void store_names_each(int directory, void (*each)(void *argument, const char *name), void *argument);
