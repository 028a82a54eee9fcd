//! An auditor's own code: RFC 6962 and C2SP signed notes as they are written, with nothing of the
//! program under test. Proofs are checked by the loops that go up the tree, not by its definition.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest as _, Sha256};

pub(crate) type Hash = Vec<u8>;

/// What a checkpoint says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

pub(crate) fn leaf(bytes: &[u8]) -> Hash {
    Sha256::digest([&[0], bytes].concat()).to_vec()
}

fn node(left: &[u8], right: &[u8]) -> Hash {
    Sha256::digest([&[1], left, right].concat()).to_vec()
}

/// The root over leaves, by the definition.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).to_vec(),
        [leaf] => leaf.clone(),
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node(&root(left), &root(right))
        }
    }
}

/// Whether the path leads from the leaf to the root (RFC 9162, section 2.1.3.2, says how).
pub(crate) fn includes(leaf: &[u8], index: u64, size: u64, path: &[Hash], root: &[u8]) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf.to_vec();
    for step in path {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(step, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && hash == root
}

/// Whether the proof leads from the old root to the new one (RFC 9162, section 2.1.4.2).
pub(crate) fn extends(old: &Checkpoint, new: &Checkpoint, proof: &[Hash]) -> bool {
    if old.size == 0 || old.size == new.size {
        let known = old.size == 0 || old.root == new.root;
        return proof.is_empty() && known;
    }
    if old.size > new.size {
        return false;
    }
    let mut steps = proof.to_vec();
    if old.size.is_power_of_two() {
        steps.insert(0, old.root.clone());
    }
    let Some((first, steps)) = steps.split_first() else {
        return false;
    };
    let (mut at, mut last) = (old.size - 1, new.size - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (first.clone(), first.clone());
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node(step, &old_hash);
            new_hash = node(step, &new_hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            new_hash = node(&new_hash, step);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && old_hash == old.root && new_hash == new.root
}

/// Reads a signed checkpoint, and checks its signature with a verifier key `name+hash+base64`.
#[track_caller]
pub(crate) fn open(note: &str, key: &str) -> Checkpoint {
    let (name, rest) = key.split_once('+').expect("a name");
    let (hash, public) = rest.split_once('+').expect("a hash");
    let public = BASE64_STANDARD.decode(public).expect("base64");
    let expected = Sha256::digest([name.as_bytes(), b"\n", &public].concat());
    assert_eq!(hash, hex::encode(&expected[..4]), "the key fits its name");
    assert_eq!(public[0], 1, "it is an Ed25519 key");
    let public: [u8; 32] = public[1..].try_into().expect("32 bytes");
    let public = VerifyingKey::from_bytes(&public).expect("a key");

    let (text, signature) = note.split_once("\n\n").expect("a blank line");
    let text = format!("{text}\n");
    let signature = signature.strip_prefix("\u{2014} ").expect("a dash");
    let signature = signature.strip_suffix('\n').expect("one line");
    let (signer, signature) = signature.split_once(' ').expect("a name");
    assert_eq!(signer, name);
    let signature = BASE64_STANDARD.decode(signature).expect("base64");
    assert_eq!(signature[..4], expected[..4], "it is of this key");
    let signature = Signature::from_slice(&signature[4..]).expect("64 bytes");
    let checked = public.verify_strict(text.as_bytes(), &signature);
    checked.expect("the signature holds");

    let lines: Vec<&str> = text.lines().collect();
    let [origin, size, root] = lines[..] else {
        panic!("{text}");
    };
    assert_eq!(origin, name, "the log signs for itself");
    Checkpoint {
        origin: origin.to_owned(),
        size: size.parse().expect("a number"),
        root: BASE64_STANDARD.decode(root).expect("base64"),
    }
}
