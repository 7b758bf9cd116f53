/* Can pods have user namespaces on this host? */
#pragma once

/* Tries it, in a child with namespaces of its own that leaves nothing: an overlay of layers with mapped owners on the file system
 * of root (ROOT), and what a container mounts. directory: one that is sandboxd's. NULL: yes; else why not, which the caller frees.
 * As root, before there are threads; 20 seconds at most. */
char *user_namespaces_probe(const char *root, const char *directory);
