/* The system's libcrypto, by its EVP interface, which OpenSSL has had since 1.1.0: 1.1, 3 and later have the same names.

   Python's own hashlib has loaded it where Python is built with a shared one, and then it is that. The prototypes are
   written down here as its documentation has them (EVP_EncryptInit(3)), so no headers are needed. */

#include "libcrypto.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#define GET_TAG 0x10 /* EVP_CTRL_AEAD_GET_TAG */
#define SET_TAG 0x11 /* EVP_CTRL_AEAD_SET_TAG */

static const char *const names[] = {
    "libcrypto.so.4", "libcrypto.so.3", "libcrypto.so.1.1", "libcrypto.4.dylib", "libcrypto.3.dylib",
};

static struct {
    Context *(*new)(void);
    void (*free)(Context *);
    int (*init)(Context *, const void *cipher, void *engine, const unsigned char *key, const unsigned char *iv, int seals);
    int (*update)(Context *, unsigned char *out, int *size, const unsigned char *in, int in_size);
    int (*final)(Context *, unsigned char *out, int *size);
    int (*ctrl)(Context *, int type, int size, void *value);
    void (*cleanse)(void *, size_t);
    void (*clear_errors)(void);
    const void *(*cipher[ALGORITHMS])(void);
    int right[ALGORITHMS];
} lib;

/* RFC 8439, 2.8.2; and test case 16 of "The Galois/Counter Mode of Operation" (McGrew, Viega). */
static const struct {
    unsigned char key[KEY_SIZE], nonce[NONCE_SIZE], head[20];
    size_t head_size, size;
    unsigned char data[120], sealed[136];
} vectors[ALGORITHMS] = {
    [CHACHA] = {
        .key = {0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
                0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f},
        .nonce = {0x07, 0x00, 0x00, 0x00, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47},
        .head = {0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7},
        .head_size = 12,
        .size = 114,
        .data = {0x4c, 0x61, 0x64, 0x69, 0x65, 0x73, 0x20, 0x61, 0x6e, 0x64, 0x20, 0x47, 0x65, 0x6e, 0x74, 0x6c,
                0x65, 0x6d, 0x65, 0x6e, 0x20, 0x6f, 0x66, 0x20, 0x74, 0x68, 0x65, 0x20, 0x63, 0x6c, 0x61, 0x73,
                0x73, 0x20, 0x6f, 0x66, 0x20, 0x27, 0x39, 0x39, 0x3a, 0x20, 0x49, 0x66, 0x20, 0x49, 0x20, 0x63,
                0x6f, 0x75, 0x6c, 0x64, 0x20, 0x6f, 0x66, 0x66, 0x65, 0x72, 0x20, 0x79, 0x6f, 0x75, 0x20, 0x6f,
                0x6e, 0x6c, 0x79, 0x20, 0x6f, 0x6e, 0x65, 0x20, 0x74, 0x69, 0x70, 0x20, 0x66, 0x6f, 0x72, 0x20,
                0x74, 0x68, 0x65, 0x20, 0x66, 0x75, 0x74, 0x75, 0x72, 0x65, 0x2c, 0x20, 0x73, 0x75, 0x6e, 0x73,
                0x63, 0x72, 0x65, 0x65, 0x6e, 0x20, 0x77, 0x6f, 0x75, 0x6c, 0x64, 0x20, 0x62, 0x65, 0x20, 0x69,
                0x74, 0x2e},
        .sealed = {0xd3, 0x1a, 0x8d, 0x34, 0x64, 0x8e, 0x60, 0xdb, 0x7b, 0x86, 0xaf, 0xbc, 0x53, 0xef, 0x7e, 0xc2,
                0xa4, 0xad, 0xed, 0x51, 0x29, 0x6e, 0x08, 0xfe, 0xa9, 0xe2, 0xb5, 0xa7, 0x36, 0xee, 0x62, 0xd6,
                0x3d, 0xbe, 0xa4, 0x5e, 0x8c, 0xa9, 0x67, 0x12, 0x82, 0xfa, 0xfb, 0x69, 0xda, 0x92, 0x72, 0x8b,
                0x1a, 0x71, 0xde, 0x0a, 0x9e, 0x06, 0x0b, 0x29, 0x05, 0xd6, 0xa5, 0xb6, 0x7e, 0xcd, 0x3b, 0x36,
                0x92, 0xdd, 0xbd, 0x7f, 0x2d, 0x77, 0x8b, 0x8c, 0x98, 0x03, 0xae, 0xe3, 0x28, 0x09, 0x1b, 0x58,
                0xfa, 0xb3, 0x24, 0xe4, 0xfa, 0xd6, 0x75, 0x94, 0x55, 0x85, 0x80, 0x8b, 0x48, 0x31, 0xd7, 0xbc,
                0x3f, 0xf4, 0xde, 0xf0, 0x8e, 0x4b, 0x7a, 0x9d, 0xe5, 0x76, 0xd2, 0x65, 0x86, 0xce, 0xc6, 0x4b,
                0x61, 0x16, 0x1a, 0xe1, 0x0b, 0x59, 0x4f, 0x09, 0xe2, 0x6a, 0x7e, 0x90, 0x2e, 0xcb, 0xd0, 0x60,
                0x06, 0x91},
    },
    [AES] = {
        .key = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08,
                0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c, 0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08},
        .nonce = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce, 0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88},
        .head = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef,
                0xab, 0xad, 0xda, 0xd2},
        .head_size = 20,
        .size = 60,
        .data = {0xd9, 0x31, 0x32, 0x25, 0xf8, 0x84, 0x06, 0xe5, 0xa5, 0x59, 0x09, 0xc5, 0xaf, 0xf5, 0x26, 0x9a,
                0x86, 0xa7, 0xa9, 0x53, 0x15, 0x34, 0xf7, 0xda, 0x2e, 0x4c, 0x30, 0x3d, 0x8a, 0x31, 0x8a, 0x72,
                0x1c, 0x3c, 0x0c, 0x95, 0x95, 0x68, 0x09, 0x53, 0x2f, 0xcf, 0x0e, 0x24, 0x49, 0xa6, 0xb5, 0x25,
                0xb1, 0x6a, 0xed, 0xf5, 0xaa, 0x0d, 0xe6, 0x57, 0xba, 0x63, 0x7b, 0x39},
        .sealed = {0x52, 0x2d, 0xc1, 0xf0, 0x99, 0x56, 0x7d, 0x07, 0xf4, 0x7f, 0x37, 0xa3, 0x2a, 0x84, 0x42, 0x7d,
                0x64, 0x3a, 0x8c, 0xdc, 0xbf, 0xe5, 0xc0, 0xc9, 0x75, 0x98, 0xa2, 0xbd, 0x25, 0x55, 0xd1, 0xaa,
                0x8c, 0xb0, 0x8e, 0x48, 0x59, 0x0d, 0xbb, 0x3d, 0xa7, 0xb0, 0x8b, 0x10, 0x56, 0x82, 0x88, 0x38,
                0xc5, 0xf6, 0x1e, 0x63, 0x93, 0xba, 0x7a, 0x0a, 0xbc, 0xc9, 0xf6, 0x62, 0x76, 0xfc, 0x6e, 0xce,
                0x0f, 0x4e, 0x17, 0x68, 0xcd, 0xdf, 0x88, 0x53, 0xbb, 0x2d, 0x55, 0x1b},
    },
};

static int
load(void *library)
{
    const struct {
        const char *name;
        void *into;
    } wanted[] = {
        {"EVP_CIPHER_CTX_new", &lib.new},
        {"EVP_CIPHER_CTX_free", &lib.free},
        {"EVP_CipherInit_ex", &lib.init},
        {"EVP_CipherUpdate", &lib.update},
        {"EVP_CipherFinal_ex", &lib.final},
        {"EVP_CIPHER_CTX_ctrl", &lib.ctrl},
        {"OPENSSL_cleanse", &lib.cleanse},
        {"ERR_clear_error", &lib.clear_errors},
        {"EVP_chacha20_poly1305", &lib.cipher[CHACHA]},
        {"EVP_aes_256_gcm", &lib.cipher[AES]},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        void *found = dlsym(library, wanted[i].name);
        if (found == NULL) {
            return 0;
        }
        memcpy(wanted[i].into, &found, sizeof found); /* POSIX lets a function pointer be made of it */
    }
    return 1;
}

/* Whether an algorithm seals and opens as it should, also with a context that was used before, and refuses. */
static int
is_right(int algorithm)
{
    unsigned char sealed[sizeof vectors[0].sealed], data[sizeof vectors[0].data];
    const unsigned char *key = vectors[algorithm].key, *nonce = vectors[algorithm].nonce;
    const unsigned char *head = vectors[algorithm].head;
    size_t head_size = vectors[algorithm].head_size, size = vectors[algorithm].size;
    Context *seals = libcrypto_context(algorithm, key, 1), *opens = libcrypto_context(algorithm, key, 0);
    int right = seals != NULL && opens != NULL;
    for (int turn = 0; turn < 2 && right; turn++) {
        right = libcrypto_seal(seals, nonce, head, head_size, vectors[algorithm].data, size, sealed)
                && memcmp(sealed, vectors[algorithm].sealed, size + TAG_SIZE) == 0;
        sealed[size + turn] ^= 1;
        right = right && !libcrypto_open(opens, nonce, head, head_size, sealed, size, data);
        sealed[size + turn] ^= 1;
        right = right && libcrypto_open(opens, nonce, head, head_size, sealed, size, data)
                && memcmp(data, vectors[algorithm].data, size) == 0;
    }
    libcrypto_free(seals);
    libcrypto_free(opens);
    return right;
}

void
libcrypto_find(void)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
        if (library == NULL) {
            continue;
        }
        if (load(library)) {
            for (int algorithm = 0; algorithm < ALGORITHMS; algorithm++) {
                lib.right[algorithm] = is_right(algorithm);
            }
            return;
        }
        dlclose(library);
    }
}

int
libcrypto_has(int algorithm)
{
    return lib.right[algorithm];
}

Context *
libcrypto_context(int algorithm, const unsigned char *key, int seals)
{
    Context *context = lib.new();
    if (context != NULL && lib.init(context, lib.cipher[algorithm](), NULL, key, NULL, seals) != 1) {
        lib.clear_errors();
        lib.free(context);
        return NULL;
    }
    return context;
}

void
libcrypto_free(Context *context)
{
    if (context != NULL) {
        lib.free(context); /* it cleanses what it had of the key */
    }
}

void
libcrypto_cleanse(void *data, size_t size)
{
    lib.cleanse(data, size);
}

static int
start(Context *context, const unsigned char *nonce)
{
    return lib.init(context, NULL, NULL, NULL, nonce, -1) == 1;
}

/* Take the head, which is authenticated only, and the data. */
static int
pass(Context *context, const unsigned char *head, size_t head_size, const unsigned char *in, size_t size,
     unsigned char *out)
{
    int got;
    if (size > INT_MAX || head_size > INT_MAX) {
        return 0;
    }
    if (head_size > 0 && lib.update(context, NULL, &got, head, (int)head_size) != 1) {
        return 0;
    }
    return size == 0 || (lib.update(context, out, &got, in, (int)size) == 1 && (size_t)got == size);
}

int
libcrypto_seal(Context *context, const unsigned char *nonce, const unsigned char *head, size_t head_size,
               const unsigned char *data, size_t size, unsigned char *sealed)
{
    int got;
    if (start(context, nonce) && pass(context, head, head_size, data, size, sealed)
        && lib.final(context, sealed + size, &got) == 1 && lib.ctrl(context, GET_TAG, TAG_SIZE, sealed + size) == 1) {
        return 1;
    }
    lib.clear_errors();
    return 0;
}

int
libcrypto_open(Context *context, const unsigned char *nonce, const unsigned char *head, size_t head_size,
               const unsigned char *sealed, size_t size, unsigned char *data)
{
    unsigned char none[TAG_SIZE]; /* the end of the data, of which there is none */
    int got;
    if (start(context, nonce) && lib.ctrl(context, SET_TAG, TAG_SIZE, (void *)(sealed + size)) == 1
        && pass(context, head, head_size, sealed, size, data) && lib.final(context, none, &got) == 1) {
        return 1;
    }
    lib.clear_errors();
    return 0;
}
