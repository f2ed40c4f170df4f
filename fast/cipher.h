/* The cipher of a session as C sees it. Twin: that of ``cryptography`` which ipcpy/sealing/keys.py takes. */

#ifndef IPCPY_CIPHER_H
#define IPCPY_CIPHER_H

#include "fast.h"
#include "libcrypto.h"

typedef struct Cipher Cipher;

/* The cipher whose ``encrypt`` (``decrypt``) this is; NULL if it is anything else. Borrowed. */
Cipher *cipher_that_encrypts(PyObject *function);
Cipher *cipher_that_decrypts(PyObject *function);

/* What seals, and what opens; made when it is needed first. NULL, and no exception, if there is no memory. */
Context *cipher_seals(Cipher *cipher);
Context *cipher_opens(Cipher *cipher);

/* One more of either, for who uses it without the GIL; it is to be freed. NULL as above. */
Context *cipher_context(const Cipher *cipher, int seals);

#endif
