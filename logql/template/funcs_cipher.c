/* sprig's encryptAES and decryptAES: AES-256 in CBC mode, the password (with zeros behind it) as
 * key, in base64 with the initial vector in front. */
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/base64.h"
#include "base/mem.h"
#include "logql/template/funcs.h"

#define BLOCK_BYTES 16
#define KEY_BYTES   32

/* Runs whole blocks through the cipher; `out` has room for as many bytes as `in`. */
static bool run_cipher(bool encrypts, str password, const unsigned char *iv, str in,
                       unsigned char *out)
{
    unsigned char key[KEY_BYTES] = {0};
    int n = 0;
    memcpy(key, password.ptr, MIN(password.len, sizeof key));
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    bool ok = ctx != NULL && in.len <= INT32_MAX &&
              EVP_CipherInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv, encrypts) == 1 &&
              EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 &&
              EVP_CipherUpdate(ctx, out, &n, (const unsigned char *)in.ptr, (int)in.len) == 1;
    EVP_CIPHER_CTX_free(ctx);
    return ok && (size_t)n == in.len;
}

static int f_encrypt(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    str text = args[1].s;
    struct buf b;
    if (text.len == 0)
        return template_return_str(ret, STR_EMPTY);
    size_t padding = BLOCK_BYTES - text.len % BLOCK_BYTES, len = text.len + padding;
    char *padded = template_call_alloc(c, len);
    unsigned char *out = template_call_alloc(c, BLOCK_BYTES + len);
    if (padded == NULL || out == NULL)
        return E_LIMIT;
    memcpy(padded, text.ptr, text.len);
    memset(padded + text.len, (int)padding, padding);
    if (RAND_bytes(out, BLOCK_BYTES) != 1 ||
        !run_cipher(true, args[0].s, out, str_make(padded, len), out + BLOCK_BYTES))
        return template_call_fail(c, "the cipher is not available");
    template_call_buf(c, &b);
    base64_encode(&b, str_make((char *)out, BLOCK_BYTES + len));
    return template_call_take(c, &b, ret);
}

static int f_decrypt(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    struct buf b;
    struct tval coded;
    struct error err = {0};
    if (args[1].s.len == 0)
        return template_return_str(ret, STR_EMPTY);
    template_call_buf(c, &b);
    if (base64_decode(&b, args[1].s, &err) != 0) {
        buf_deinit(&b);
        return template_call_fail_with(c, &err);
    }
    int rc = template_call_take(c, &b, &coded);
    if (rc != 0)
        return rc;
    str text = coded.s;
    if (text.len < 2 * BLOCK_BYTES || text.len % BLOCK_BYTES != 0)
        return template_call_fail(c, "crypto/cipher: input not full blocks");
    size_t len = text.len - BLOCK_BYTES;
    unsigned char *out = template_call_alloc(c, len);
    if (out == NULL)
        return E_LIMIT;
    if (!run_cipher(false, args[0].s, (const unsigned char *)text.ptr, str_from(text, BLOCK_BYTES),
                    out))
        return template_call_fail(c, "the cipher is not available");
    size_t padding = out[len - 1];
    if (padding > len)
        return template_call_fail(c, "runtime error: slice bounds out of range [:%lld]",
                                  (long long)len - (long long)padding);
    return template_return_str(ret, str_make((char *)out, len - padding));
}

static const struct template_func funcs[] = {
    {"encryptAES", "ss", f_encrypt},
    {"decryptAES", "ss", f_decrypt},
};

const struct template_func_table template_funcs_cipher = TEMPLATE_TABLE(funcs);
