"""Asks OpenZFS's own compressors how long they make blocks. argv: OpenZFS's module/zfs (2.1: lz4.c, lzjb.c and zle.c), and a file for the answers. Needs a C compiler.
The answers are [seed, length, lz4, lzjb, zle] for each block of `block` below, which test/cow/zfs-compressors.test.ts makes in the same way; a length of 0 stands
for a block that was not compressed: the output is given seven eighths of the block's length, as zio_compress_data does."""
import ctypes, json, os, subprocess, sys, tempfile

SHIM = """
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <assert.h>
typedef unsigned char uchar_t;
typedef struct { size_t size; } kmem_cache_t;
#define NBBY 8
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define KM_SLEEP 0
#define KM_PUSHPAGE 0
#define ASSERT(x) assert(x)
#define BE_32(x) __builtin_bswap32(x)
#define BE_IN32(x) 0
#define bzero(p, n) memset(p, 0, n)
#define bcopy(s, d, n) memmove(d, s, n)
static kmem_cache_t *cache_of(size_t size) { kmem_cache_t *c = malloc(sizeof (*c)); c->size = size; return (c); }
#define kmem_cache_create(name, size, ...) cache_of(size)
#define kmem_cache_destroy(c) free(c)
#define kmem_cache_alloc(c, flags) malloc((c)->size)
#define kmem_cache_free(c, p) free(p)
#define kmem_zalloc(n, flags) calloc(1, n)
#define kmem_free(p, n) free(p)
"""

def compiled(sources):
    folder = tempfile.mkdtemp()
    os.mkdir(f"{folder}/sys")
    for name in ("zfs_context.h", "zio_compress.h"):
        with open(f"{folder}/sys/{name}", "w") as header: header.write(f"#ifndef SHIM\n#define SHIM\n{SHIM}\n#endif\n")
    library = f"{folder}/compressors.so"
    subprocess.run(["cc", "-w", "-O1", "-shared", "-fPIC", "-D_LP64", f"-I{folder}", "-o", library, f"{sources}/lz4.c", f"{sources}/lzjb.c", f"{sources}/zle.c"], check=True)
    return ctypes.CDLL(library)

class Words:
    """A linear congruential generator, of which the upper bits count."""
    def __init__(self, seed): self.state = seed
    def below(self, limit):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return (self.state >> 16) % limit

def block(seed, length):
    """Stretches of letters from an alphabet, of what was told before, and of one byte; how much of each is the seed's."""
    words = Words(seed)
    alphabet = 2 + words.below(255)
    reach = 1 << (4 + words.below(13))
    longest = 1 << (2 + words.below(10))
    fresh = words.below(4)
    out = bytearray()
    while len(out) < length:
        kind, count = words.below(6), 1 + words.below(longest)
        if kind < 1 + fresh or not out: out += bytes(words.below(alphabet) for _ in range(count))
        elif kind < 5:
            back = 1 + words.below(min(reach, len(out)))
            for _ in range(count): out.append(out[-back])
        else: out += bytes([words.below(alphabet)]) * count
    return bytes(out[:length])

def holed(seed, length):
    """The same with zeros here and there."""
    words = Words(seed + 1)
    out = bytearray(block(seed, length))
    at = 0
    while at < length:
        end = min(length, at + 1 + words.below(300))
        if words.below(2): out[at:end] = bytes(end - at)
        at = end
    return bytes(out)

# From this seed of each length on.
HOLED = 50
LENGTHS = [512, 1024, 1536, 4096, 8192, 16384, 65024, 65536, 65546, 65547, 65548, 131072, 262144]
CASES = [(seed, length) for length in range(8, 40) for seed in (3, 4)]
CASES += [(100 * length + seed, length) for length in LENGTHS for seed in range(24 if length < 20000 else 8)]
CASES += [(100 * length + HOLED + seed, length) for length in LENGTHS for seed in range(12)]

# With their levels (zio_compress_table).
COMPRESSORS = [("lz4_compress_zfs", 0), ("lzjb_compress", 0), ("zle_compress", 64)]

def main(sources, path):
    library = compiled(sources)
    library.lz4_init()
    for name, _ in COMPRESSORS:
        function = getattr(library, name)
        function.restype = ctypes.c_size_t
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int]
    memory = ctypes.create_string_buffer(1 << 20)
    # lzjb reads the place of what it packs: a kernel's buffer begins a page.
    source = (ctypes.addressof(memory) + 4095) & ~4095
    out = ctypes.create_string_buffer(1 << 20)
    answers = []
    for seed, length in CASES:
        raw = (holed if seed >= 100 * length + HOLED else block)(seed, length)
        row = [seed, length]
        room = length - (length >> 3)
        for name, level in COMPRESSORS:
            ctypes.memset(source, 0xAA, length + 64)
            ctypes.memmove(source, raw, length)
            made = getattr(library, name)(source, out, length, room, level)
            row.append(0 if made > room else made)
        answers.append(row)
    with open(path, "w") as file:
        json.dump({"source": "OpenZFS 2.1.11, module/zfs/lz4.c, lzjb.c and zle.c", "blocks": answers}, file, separators=(",", ":"))

main(*sys.argv[1:])
