#!/usr/bin/env python3
"""Checks Strata's checkpoints and proofs without any of Strata's code: RFC 6962 and RFC 9162 for the
tree, C2SP's signed-note and tlog-checkpoint for the checkpoint. Needs Python 3.9 and, for the
signature, the `openssl` command (3.0).

  check_proof.py checkpoint  KEY CHECKPOINT
  check_proof.py inclusion   KEY CHECKPOINT COMMIT PROOF
  check_proof.py consistency KEY OLD_CHECKPOINT NEW_CHECKPOINT PROOF

KEY is the text of `stratad key`, or a file with it. A CHECKPOINT is a file with the text of
AuditService/GetCheckpoint; COMMIT a file with the bytes of one commit, as AuditService/ReadRaw gives
them; PROOF the answer of AuditService/ProveInclusion or ProveConsistency as grpcurl prints it. Exit
status: 0 it holds, 1 it does not, 2 it could not be checked.
"""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile


def fail(why):
    print(f"DOES NOT HOLD: {why}")
    sys.exit(1)


def give_up(why):
    print(f"NOT CHECKED: {why}", file=sys.stderr)
    sys.exit(2)


def leaf_hash(commit):
    return hashlib.sha256(b"\x00" + commit).digest()


def inner_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def read_key(key):
    """The log's name, the hash of its public key, and the key."""
    if os.path.exists(key):
        with open(key, encoding="utf-8") as file:
            key = file.read()
    if "PRIVATE+KEY" in key:
        give_up("this is the secret key; whoever has seen it can sign in the log's name")
    # Base64 may hold a plus, a name may not.
    fields = key.strip().split("+", 2)
    if len(fields) != 3:
        give_up("the key must be one line, name+hash+key, as `stratad key` prints it")
    name, key_hash, encoded = fields
    public = base64.b64decode(encoded, validate=True)
    if len(public) != 33 or public[0] != 1:
        give_up("the key is not of Ed25519")
    if hashlib.sha256(name.encode() + b"\n" + public).digest()[:4].hex() != key_hash:
        give_up("the key does not match its own hash")
    return name, key_hash, public[1:]


def read_checkpoint(key, path):
    """The size and the root that the checkpoint in a file vouches for."""
    name, key_hash, public = read_key(key)
    with open(path, encoding="utf-8", newline="") as file:
        text, divided, signatures = file.read().partition("\n\n")
    if not divided:
        give_up(f"{path} is no checkpoint: it has no empty line before the signature")
    text += "\n"
    # `jq -r` adds one line end behind the last.
    lines = signatures.removesuffix("\n").removesuffix("\n").split("\n")
    signed = False
    for line in lines:
        fields = line.split(" ")
        if len(fields) != 3 or fields[0] != "\u2014":
            fail(f"{path} has a line among its signatures that is none")
        signature = base64.b64decode(fields[2], validate=True)
        if fields[1] == name and signature[:4].hex() == key_hash:
            check_signature(public, text.encode(), signature[4:])
            signed = True
    if not signed:
        fail(f"{path} is not signed by the key {name}+{key_hash}")
    origin, size, root = text.split("\n")[:3]
    if origin != name:
        fail(f"{path} is of the log {origin}, and the key is that of {name}")
    return int(size), base64.b64decode(root, validate=True)


def check_signature(public, message, signature):
    der = bytes.fromhex("302a300506032b6570032100") + public
    with tempfile.TemporaryDirectory() as directory:
        files = {"key": der, "message": message, "signature": signature}
        for name, content in files.items():
            with open(f"{directory}/{name}", "wb") as file:
                file.write(content)
        verify = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-rawin"]
        verify += ["-inkey", "key", "-in", "message", "-sigfile", "signature"]
        if subprocess.run(verify, cwd=directory, capture_output=True, check=False).returncode:
            fail("the signature is not that of the key")


def root_from_inclusion(index, size, leaf, path):
    """RFC 9162, section 2.1.3.2."""
    first, last, node = index, size - 1, leaf
    for other in path:
        if last == 0:
            fail("the proof is too long")
        if first & 1 or first == last:
            node = inner_hash(other, node)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            node = inner_hash(node, other)
        first, last = first >> 1, last >> 1
    if last:
        fail("the proof is too short")
    return node


def check_consistency(old_size, old_root, new_size, new_root, path):
    """RFC 9162, section 2.1.4.2."""
    if old_size > new_size:
        fail("the new checkpoint is of fewer commits than the old one")
    if old_size == new_size or old_size == 0:
        if path:
            fail("the proof should be empty")
        if old_size and old_root != new_root:
            fail("two checkpoints of one size have different roots")
        return
    path = list(path)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        fail("the proof is empty")
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    old = new = path[0]
    for other in path[1:]:
        if last == 0:
            fail("the proof is too long")
        if first & 1 or first == last:
            old, new = inner_hash(other, old), inner_hash(other, new)
            while not first & 1 and first:
                first, last = first >> 1, last >> 1
        else:
            new = inner_hash(new, other)
        first, last = first >> 1, last >> 1
    if last:
        fail("the proof is too short")
    if old != old_root:
        fail("the proof does not lead to the old checkpoint; if a fresh one does not, history was rewritten")
    if new != new_root:
        fail("the proof does not lead to the new checkpoint")


def read_proof(path):
    with open(path, encoding="utf-8") as file:
        proof = json.load(file)
    return proof, [base64.b64decode(text) for text in proof.get("hashes", [])]


def main():
    arguments = sys.argv[1:]
    wanted = {"checkpoint": 2, "inclusion": 4, "consistency": 4}
    if not arguments or wanted.get(arguments[0]) != len(arguments) - 1:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    what, key, rest = arguments[0], arguments[1], arguments[2:]
    size, root = read_checkpoint(key, rest[0])
    if what == "checkpoint":
        print(f"HOLDS: {size} commits, root {root.hex()}")
    elif what == "inclusion":
        proof, hashes = read_proof(rest[2])
        if int(proof.get("treeSize", 0)) != size:
            fail(f"the proof is for {proof.get('treeSize', 0)} commits: ask with tree_size {size}")
        with open(rest[1], "rb") as file:
            leaf = leaf_hash(file.read())
        index = int(proof.get("leafIndex", 0))
        if index >= size:
            fail("the commit came after the checkpoint")
        if root_from_inclusion(index, size, leaf, hashes) != root:
            fail("the commit is not the one that the checkpoint vouches for")
        print(f"HOLDS: the commit is at position {index + 1} of {size}")
    else:
        new_size, new_root = read_checkpoint(key, rest[1])
        _, hashes = read_proof(rest[2])
        check_consistency(size, root, new_size, new_root, hashes)
        print(f"HOLDS: {new_size} commits begin with the {size} of the old checkpoint")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, KeyError) as error:
        give_up(f"{type(error).__name__}: {error}")
