/* nghttp2's side of the measurement in hpack.rs, which compiles and runs this: cc -O2 nghttp2_inflate.c -lnghttp2
 *
 *   nghttp2_inflate make FILE            writes requests of twelve fields, as nghttp2 encodes them
 *   nghttp2_inflate inflate FILE PASSES  decodes a file so often, a new decoder for each story; prints CPU nanoseconds, the
 *                                        fields and the bytes of their texts
 *
 * A file is stories one behind the other, a story its count of blocks and each block its length and bytes; numbers have
 * 32 bits, little-endian. */
#include <nghttp2/nghttp2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void fail(const char *what) {
    fprintf(stderr, "nghttp2_inflate: %s\n", what);
    exit(1);
}

static uint32_t number(const uint8_t *at) {
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static void put_number(uint32_t number, FILE *file) {
    for (int shift = 0; shift < 32; shift += 8)
        fputc(number >> shift & 0xff, file);
}

static void make(const char *path) {
    enum { BLOCKS = 1000, FIELDS = 12 };
    FILE *file = fopen(path, "wb");
    nghttp2_hd_deflater *deflater;
    if (!file || nghttp2_hd_deflate_new(&deflater, 4096))
        fail("no file, or no encoder");
    put_number(BLOCKS, file);
    uint64_t state = 0x9E3779B97F4A7C15;
    for (uint32_t at = 0; at < BLOCKS; at++) {
        char path_text[32], trace[64], request[32];
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        snprintf(path_text, sizeof path_text, "/api/v1/orders/%u", (unsigned)(state % 100000));
        snprintf(trace, sizeof trace, "00-%016llx%016llx-%016llx-01", (unsigned long long)state * 31, (unsigned long long)state,
                 (unsigned long long)state * 17);
        snprintf(request, sizeof request, "%016llx", (unsigned long long)state * 7);
        const char *fields[FIELDS][2] = {
            {":method", "GET"},
            {":scheme", "http"},
            {":authority", "orders.internal:8443"},
            {":path", path_text},
            {"user-agent", "grpc-go/1.65.0"},
            {"accept", "application/json"},
            {"accept-encoding", "gzip, deflate"},
            {"x-tenant", "acme-production"},
            {"x-client-version", "2026.11.2"},
            {"x-request-id", request},
            {"traceparent", trace},
            {"cache-control", "no-cache"},
        };
        nghttp2_nv list[FIELDS];
        for (int field = 0; field < FIELDS; field++)
            list[field] = (nghttp2_nv){(uint8_t *)fields[field][0], (uint8_t *)fields[field][1], strlen(fields[field][0]),
                                       strlen(fields[field][1]), NGHTTP2_NV_FLAG_NONE};
        uint8_t block[4096];
        ssize_t length = nghttp2_hd_deflate_hd(deflater, block, sizeof block, list, FIELDS);
        if (length < 0)
            fail("a block that does not fit");
        put_number((uint32_t)length, file);
        fwrite(block, 1, (size_t)length, file);
    }
    nghttp2_hd_deflate_del(deflater);
    if (fclose(file))
        fail("not written");
}

static uint64_t fields, text_bytes;

static void inflate_block(nghttp2_hd_inflater *inflater, const uint8_t *at, size_t length) {
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t read = nghttp2_hd_inflate_hd2(inflater, &field, &flags, at, length, 1);
        if (read < 0)
            fail("a block that nghttp2 refuses");
        at += read;
        length -= (size_t)read;
        if (flags & NGHTTP2_HD_INFLATE_EMIT) {
            fields++;
            text_bytes += field.namelen + field.valuelen;
        }
        if (flags & NGHTTP2_HD_INFLATE_FINAL)
            break;
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "make")) {
        make(words[2]);
        return 0;
    }
    if (count != 4 || strcmp(words[1], "inflate"))
        fail("make FILE | inflate FILE PASSES");
    FILE *file = fopen(words[2], "rb");
    if (!file)
        fail("no file");
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    uint8_t *bytes = malloc((size_t)size);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size)
        fail("not read");
    struct timespec begun, ended;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begun);
    for (long passes = atol(words[3]); passes > 0; passes--) {
        for (const uint8_t *at = bytes; at < bytes + size;) {
            nghttp2_hd_inflater *inflater;
            if (nghttp2_hd_inflate_new(&inflater))
                fail("no decoder");
            uint32_t blocks = number(at);
            at += 4;
            for (; blocks > 0; blocks--) {
                uint32_t length = number(at);
                inflate_block(inflater, at + 4, length);
                at += 4 + length;
            }
            nghttp2_hd_inflate_del(inflater);
        }
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
    long long ns = (ended.tv_sec - begun.tv_sec) * 1000000000LL + (ended.tv_nsec - begun.tv_nsec);
    printf("%lld %llu %llu\n", ns, (unsigned long long)fields, (unsigned long long)text_bytes);
    return 0;
}
