#!/usr/bin/env python3
"""Checks a folder of streams/seal with nothing of Sallyport's: its signature, its tree, its segments.

usage: verify.py DATA/seal/<org>     (needs python3, and zstd for compressed segments)
Written from docs/howto-checkpoints.md, RFC 6962 section 2.1 and RFC 8032 section 5.1.
"""
import base64, hashlib, json, os, struct, subprocess, sys, zlib

P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P
L = 2**252 + 27742317777372353535851937790883648493


def recover(b):
    y = int.from_bytes(b, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert y < P and (x * x - x2) % P == 0, "not a point"
    return (P - x if x & 1 != sign else x, y)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + k, P - 2, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, P - 2, P) % P)


def mul(n, p):
    q = (0, 1)
    for bit in bin(n)[2:]:
        q = add(q, q)
        q = add(q, p) if bit == "1" else q
    return q


BASE = recover((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def signed(key, sig, msg):
    s = int.from_bytes(sig[32:], "little")
    h = int.from_bytes(hashlib.sha512(sig[:32] + key + msg).digest(), "little") % L
    return s < L and mul(s, BASE) == add(recover(sig[:32]), mul(h, recover(key)))


def checkpoint(folder):
    origin, keyhash, key = open(folder + "/verifier").read().strip().split("+", 2)
    key = base64.b64decode(key)
    assert key[:1] == b"\x01" and len(key) == 33, "the verifier is no Ed25519 key"
    assert hashlib.sha256(origin.encode() + b"\n" + key).digest()[:4].hex() == keyhash, "the verifier's hash is wrong"
    text, sigs = open(folder + "/checkpoint", "rb").read().split(b"\n\n")
    text += b"\n"
    sigs = [base64.b64decode(s.split()[2]) for s in sigs.decode().splitlines() if s.split()[1] == origin]
    assert any(s[:4].hex() == keyhash and signed(key[1:], s[4:], text) for s in sigs), "the checkpoint is not signed"
    name, size, root, seq = text.decode().splitlines()
    assert name == origin and seq.startswith("sequence "), "the checkpoint is of another log"
    return origin, int(size), base64.b64decode(root), int(seq.split()[1])


def records(folder, origin):
    for name in sorted(os.listdir(folder + "/segments")):
        path = folder + "/segments/" + name
        zst = name.endswith(".seg.zst")
        data = subprocess.run(["zstd", "-dc", path], check=True, capture_output=True).stdout if zst else open(path, "rb").read()
        assert data.startswith(b"sallyport segment 1 " + origin.encode() + b" "), name
        at = data.index(b"\n") + 1
        while at < len(data):
            length, crc = struct.unpack_from("<II", data, at)
            payload = data[at + 8 : at + 8 + length]
            assert zlib.crc32(payload) == crc, name
            head, body = payload.split(b"\n", 1)
            yield json.loads(head), body
            at += 8 + length


def elements(body):
    """The members of a JSON array, byte for byte."""
    text, at, decoder = body.decode(), 1, json.JSONDecoder()
    while text[at] != "]":
        at += text[at] == ","
        _, end = decoder.raw_decode(text, at)
        yield text[at:end].encode()
        at = end


def main(folder):
    origin, size, root, last = checkpoint(folder)
    stack, n, at = [], 0, 0  # complete subtrees, as (leaves, hash)
    for head, body in records(folder, origin):
        if at == last:
            break
        at += 1
        assert head["sequence"] == at, f"commit {at} is missing"
        events = list(elements(body))
        for i, e in enumerate(events):
            leaf = f"{head['subject']} {at}.{i} {len(events)}\n".encode() + e
            node, n = (1, hashlib.sha256(b"\0" + leaf).digest()), n + 1
            while stack and stack[-1][0] == node[0]:
                node = (2 * node[0], hashlib.sha256(b"\1" + stack.pop()[1] + node[1]).digest())
            stack.append(node)
    have = stack.pop()[1]
    while stack:
        have = hashlib.sha256(b"\1" + stack.pop()[1] + have).digest()
    assert (at, n, have) == (last, size, root), f"{n} events up to commit {at} do not make the root that was signed"
    print(f"{origin}: {n} events, {at} commits, root {base64.b64encode(root).decode()}")


main(sys.argv[1])
