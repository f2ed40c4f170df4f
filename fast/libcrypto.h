/* The system's libcrypto (OpenSSL), found while the program runs: nothing of it is needed to compile this. */

#ifndef IPCPY_LIBCRYPTO_H
#define IPCPY_LIBCRYPTO_H

#include <stddef.h>

enum { CHACHA, AES, ALGORITHMS };

#define KEY_SIZE 32
#define NONCE_SIZE 12
#define TAG_SIZE 16

/* An algorithm with one key and one direction; the key is set once, and only the nonce is new each time. */
typedef struct evp_cipher_ctx_st Context;

/* Find the library and compare what it does with known vectors; nothing may be used before. No GIL needed. */
void libcrypto_find(void);

/* Whether an algorithm does what it should. */
int libcrypto_has(int algorithm);

/* A context, or NULL. */
Context *libcrypto_context(int algorithm, const unsigned char *key, int seals);
void libcrypto_free(Context *context);
void libcrypto_cleanse(void *data, size_t size);

/* Seal size bytes from data to sealed (may be the same), and the tag behind them. 1, or 0 if the library would not. */
int libcrypto_seal(Context *context, const unsigned char *nonce, const unsigned char *head, size_t head_size,
                   const unsigned char *data, size_t size, unsigned char *sealed);

/* Open size bytes from sealed, behind which is the tag. 1, or 0 if the tag is wrong: what is in data then is nothing
   to be looked at. */
int libcrypto_open(Context *context, const unsigned char *nonce, const unsigned char *head, size_t head_size,
                   const unsigned char *sealed, size_t size, unsigned char *data);

#endif
