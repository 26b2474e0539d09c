/* Checksums, and Promtail's Hash (SHA3-256) and Sha2Hash of a salt and a value. */
#include <openssl/evp.h>

#include "base/mem.h"
#include "logql/template/funcs.h"

static int digest(struct template_call *c, const EVP_MD *md, str salt, str s, struct tval *ret)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, md, NULL) == 1 &&
              EVP_DigestUpdate(ctx, salt.ptr, salt.len) == 1 &&
              EVP_DigestUpdate(ctx, s.ptr, s.len) == 1 && EVP_DigestFinal_ex(ctx, sum, &len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!ok)
        return template_call_fail(c, "the digest is not available");
    struct buf b;
    template_call_buf(c, &b);
    for (unsigned i = 0; i < len; i++) {
        buf_append_char(&b, "0123456789abcdef"[sum[i] >> 4]);
        buf_append_char(&b, "0123456789abcdef"[sum[i] & 15]);
    }
    return template_call_take(c, &b, ret);
}

#define DIGEST_FN(name, md)                                                                        \
    static int name(struct template_call *c, struct tval *args, int n, struct tval *ret)           \
    {                                                                                              \
        return digest(c, md(), n > 1 ? args[0].s : STR_EMPTY, args[n - 1].s, ret);                 \
    }
DIGEST_FN(f_sha1, EVP_sha1)
DIGEST_FN(f_sha256, EVP_sha256)
DIGEST_FN(f_sha512, EVP_sha512)
DIGEST_FN(f_sha3, EVP_sha3_256)

static int f_adler32(struct template_call *c, struct tval *args, int n, struct tval *ret)
{
    (void)n;
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < args[0].s.len; i++) {
        a = (a + (unsigned char)args[0].s.ptr[i]) % 65521;
        b = (b + a) % 65521;
    }
    struct buf text;
    template_call_buf(c, &text);
    buf_append_u64(&text, b << 16 | a);
    return template_call_take(c, &text, ret);
}

static const struct template_func funcs[] = {
    {"Hash", "ss", f_sha3},       {"Sha2Hash", "ss", f_sha256}, {"sha1sum", "s", f_sha1},
    {"sha256sum", "s", f_sha256}, {"sha512sum", "s", f_sha512}, {"adler32sum", "s", f_adler32},
};

const struct template_func_table template_funcs_digest = TEMPLATE_TABLE(funcs);
