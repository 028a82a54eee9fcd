//! The pieces in which an answer is sent: how many messages and bytes they have, and the status that
//! ends an answer over gRPC-Web, where it is a piece like the others.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use tonic::Code;

/// What stands before each message: a flag and the length.
const PREFIX_BYTES: usize = 5;
/// The flag of what ends an answer over gRPC-Web.
const TRAILERS: u8 = 0x80;

/// What was sent of an answer.
#[derive(Debug, Default)]
pub(super) struct Frames {
    web: Web,
    messages: u64,
    bytes: u64,
    /// What is still to come of a message that was begun.
    rest_bytes: usize,
}

/// Whether an answer goes over gRPC-Web.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Web {
    #[default]
    No,
    Binary,
    Text,
}

impl Frames {
    /// Nothing was sent yet of an answer with these headers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        let kind = kind.and_then(|it| it.strip_prefix("application/grpc-web"));
        let web = match kind {
            None => Web::No,
            Some(kind) if kind.starts_with("-text") => Web::Text,
            Some(_) => Web::Binary,
        };
        Self {
            web,
            ..Self::default()
        }
    }

    pub(super) fn messages(&self) -> u64 {
        self.messages
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sends the next bytes; returns the status if it is they that end the answer.
    pub(super) fn send(&mut self, data: &Bytes) -> Option<Code> {
        self.bytes += data.len() as u64;
        match self.web {
            Web::No => self.count(data),
            // Pieces are coded each for itself.
            Web::Text => return self.send_web(&BASE64_STANDARD.decode(data).unwrap_or_default()),
            Web::Binary => return self.send_web(data),
        }
        None
    }

    fn send_web(&mut self, data: &[u8]) -> Option<Code> {
        if self.rest_bytes > 0 || data.first() != Some(&TRAILERS) {
            self.count(data);
            return None;
        }
        let trailers = String::from_utf8_lossy(data.get(PREFIX_BYTES..)?);
        let code = trailers
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("grpc-status"));
        Some(code.map_or(Code::Unknown, |(_, code)| {
            Code::from_bytes(code.trim().as_bytes())
        }))
    }

    /// Counts the messages that begin in these bytes. The transport cuts between messages, so a
    /// prefix is never cut.
    fn count(&mut self, data: &[u8]) {
        let mut at = self.rest_bytes;
        while let Some(prefix) = data.get(at..at + PREFIX_BYTES) {
            let length = prefix[1..]
                .iter()
                .fold(0, |sum, byte| (sum << 8) | usize::from(*byte));
            self.messages += 1;
            at += PREFIX_BYTES + length;
        }
        self.rest_bytes = at.saturating_sub(data.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(content_type: &'static str) -> Frames {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type.parse().expect("a header"));
        Frames::of(&headers)
    }

    fn message(bytes: usize) -> Vec<u8> {
        let mut message = vec![0];
        message.extend(u32::try_from(bytes).expect("small").to_be_bytes());
        message.resize(PREFIX_BYTES + bytes, 7);
        message
    }

    fn trailers(text: &str) -> Vec<u8> {
        let mut trailers = message(0);
        trailers[0] = TRAILERS;
        trailers.extend(text.as_bytes());
        trailers
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        let mut frames = over("application/grpc");
        let both = [message(300), message(0), message(9)].concat();
        for part in [&both[..100], &both[100..306], &both[306..]] {
            assert_eq!(frames.send(&Bytes::copy_from_slice(part)), None);
        }
        assert_eq!(frames.messages(), 3);
        assert_eq!(frames.bytes(), both.len() as u64);
    }

    #[test]
    fn a_status_over_grpc_web_is_read_where_it_is_sent() {
        let end = trailers("grpc-message:no\r\ngrpc-status:5\r\n");
        let mut binary = over("application/grpc-web+proto");
        assert_eq!(binary.send(&message(3).into()), None);
        assert_eq!(binary.send(&end.clone().into()), Some(Code::NotFound));
        let mut text = over("application/grpc-web-text");
        let encoded = |bytes: Vec<u8>| Bytes::from(BASE64_STANDARD.encode(bytes));
        assert_eq!(text.send(&encoded(message(3))), None);
        assert_eq!(text.send(&encoded(end)), Some(Code::NotFound));
        assert_eq!((binary.messages(), text.messages()), (1, 1));
    }
}
