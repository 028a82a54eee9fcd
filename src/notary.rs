//! The notary: signs what the log is at a position, so that whoever keeps such a checkpoint can prove
//! later that history was only appended to; and checks such signatures.
