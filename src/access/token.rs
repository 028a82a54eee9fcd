//! Bearer tokens of this daemon: 256 random bits in a form that is recognized wherever it leaks, and what
//! is kept of them, which is a hash.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What every token begins with, so that scanners for leaked secrets find it.
pub const PREFIX: &str = "strata_";

/// How many random bytes are in a token.
const SECRET_BYTES: usize = 32;

/// How many bytes of checksum follow them. It tells a slip of the pen from a token, and no more.
const CHECKSUM_BYTES: usize = 4;

/// How long a token is, in characters.
pub const TOKEN_CHARS: usize = PREFIX.len() + 2 * (SECRET_BYTES + CHECKSUM_BYTES);

/// How many digits after the prefix of tokens are taken for a piece of one.
const SECRET_DIGITS_MIN: usize = 8;

/// A token as its holder has it. It can be shown once, by [`Token::reveal`]; nothing else writes it.
pub struct Token(String);

/// What is kept of a token: the SHA-256 of its text. A slow hash would protect what people think up; of
/// 256 random bits nothing can be guessed, and a fast one costs a call nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; 32]);

/// Why a text is no token of this daemon. It says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoToken {
    /// It does not look like one.
    #[error("a token is {PREFIX} and {} of 0-9 and a-f", TOKEN_CHARS - PREFIX.len())]
    Form,
    /// It looks like one, but its checksum is wrong.
    #[error("the token is not whole: its checksum does not match, so it was cut or mistyped")]
    Checksum,
}

/// Why a text is no hash of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256 in 64 of 0-9 and a-f")]
pub struct NoHash;

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
#[error("the system gives no random bytes for a token: {0}")]
pub struct NoRandomness(String);

impl Token {
    /// Makes a token that nobody has seen.
    pub fn random() -> Result<Self, NoRandomness> {
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|error| NoRandomness(error.to_string()))?;
        Ok(Self::from_secret(secret))
    }

    fn from_secret(secret: [u8; SECRET_BYTES]) -> Self {
        let secret = hex::encode(secret);
        let checksum = hex::encode(checksum(&secret));
        Self(format!("{PREFIX}{secret}{checksum}"))
    }

    /// The text of the token, for whoever will hold it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(&self.0)
    }
}

impl TokenHash {
    /// The hash of a token that was sent, which must look like one.
    pub fn of_sent(text: &str) -> Result<Self, NoToken> {
        let body = text.strip_prefix(PREFIX).ok_or(NoToken::Form)?;
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != TOKEN_CHARS || !body.as_bytes().iter().all(is_digit) {
            return Err(NoToken::Form);
        }
        let (secret, sum) = body.split_at(2 * SECRET_BYTES);
        if hex::encode(checksum(secret)) != sum {
            return Err(NoToken::Checksum);
        }
        Ok(Self::of(text))
    }

    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// Reads a hash as it stands in the access file.
    pub fn parse(text: &str) -> Result<Self, NoHash> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| NoHash)?;
        Ok(Self(bytes))
    }

    /// Its beginning, by which people tell tokens apart.
    #[must_use]
    pub fn short(&self) -> String {
        hex::encode(&self.0[..6])
    }
}

/// Whether a token stands in a text, or a piece of one.
#[must_use]
pub fn holds_token(text: &str) -> bool {
    let digits = |piece: &str| piece.bytes().take_while(u8::is_ascii_hexdigit).count();
    let mut pieces = text.split(PREFIX).skip(1);
    pieces.any(|piece| digits(piece) >= SECRET_DIGITS_MIN)
}

/// A text in which somebody may have written a token, without it.
#[must_use]
pub fn without_tokens(text: &str) -> String {
    let mut pieces = text.split(PREFIX);
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown += PREFIX;
        shown.push('…');
        shown += piece.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    }
    shown
}

/// Of the text, so that it also catches what hexadecimal letters could hide.
fn checksum(secret: &str) -> [u8; CHECKSUM_BYTES] {
    crc32fast::hash(secret.as_bytes()).to_be_bytes()
}

/// Without the secret.
impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Token({})", self.hash().short())
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "TokenHash({})", self.short())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_form_of_a_token_and_of_its_hash_never_change() {
        let token = Token::from_secret([0x5a; 32]);
        assert_eq!(
            token.reveal(),
            "strata_5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a8fe5b532"
        );
        assert_eq!(
            token.hash().to_string(),
            "9d3b961412747676537db293ce9c6917c4471c40455bc126483015b7731d55bd"
        );
    }

    #[test]
    fn tokens_differ_and_each_is_read_as_it_was_made() {
        let one = Token::random().expect("random bytes");
        let other = Token::random().expect("random bytes");
        assert_ne!(one.reveal(), other.reveal());
        assert_eq!(TokenHash::of_sent(one.reveal()), Ok(one.hash()));
        assert_eq!(TokenHash::parse(&one.hash().to_string()), Ok(one.hash()));
        assert_eq!(one.reveal().len(), TOKEN_CHARS);
    }

    #[test]
    fn what_is_said_of_a_text_is_said_without_the_tokens_in_it() {
        let token = Token::from_secret([0x5a; 32]);
        let text = format!("no role {0:?}, nor strata_roles, nor {0}", token.reveal());
        let shown = without_tokens(&text);
        assert_eq!(shown, "no role \"strata_…\", nor strata_…, nor strata_…");
        assert_eq!(without_tokens("nothing here"), "nothing here");
        assert!(holds_token(&text) && !holds_token("nor strata_roles"));
    }

    #[test]
    fn nothing_tells_the_secret() {
        let token = Token::from_secret([0x5a; 32]);
        for said in [format!("{token:?}"), format!("{:?}", token.hash())] {
            assert!(!said.contains("5a5a"), "{said}");
        }
    }

    proptest! {
        #[test]
        fn every_secret_gives_a_token_and_one_changed_letter_none(
            secret: [u8; 32],
            at in 0..TOKEN_CHARS,
            other in "[0-9a-z_]",
        ) {
            let token = Token::from_secret(secret);
            prop_assert_eq!(TokenHash::of_sent(token.reveal()), Ok(token.hash()));
            let mut changed = token.reveal().to_owned();
            changed.replace_range(at..=at, &other);
            if changed != token.reveal() {
                prop_assert!(TokenHash::of_sent(&changed).is_err());
            }
        }

        #[test]
        fn any_text_is_a_token_or_refused(text in "(strata_)?[0-9a-fA-F]{0,80}|\\PC{0,100}") {
            if let Ok(hash) = TokenHash::of_sent(&text) {
                prop_assert_eq!(hash, TokenHash::of(&text));
            }
        }
    }
}
