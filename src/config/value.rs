//! How single values of the configuration are read and written. What is wrong with a value is
//! answered in words that go on with "; expected …".

use std::{
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};

use crate::{
    gateway::{cors::Origins, tls::ClientAuth},
    telemetry::{LogFormat, filter},
};

/// The units in which a size may be written, the largest first.
const UNITS: [(&str, u64); 4] = [
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// The smallest cache: room for one commit of the largest size.
const SIZE_BYTES_MIN: u64 = 64 << 10;

/// The largest cache: more than machines have, so that a slip of the unit is noticed.
const SIZE_BYTES_MAX: u64 = 1 << 40;

/// Reads an address.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is not an IP address and a port"))
}

/// Reads an address, or that there is none. Its port is for others to find, so it cannot be any.
pub(super) fn address_or_none(text: &str) -> Result<Option<SocketAddr>, String> {
    if text.trim().is_empty() {
        return Ok(None);
    }
    let address = address(text)?;
    if address.port() == 0 {
        return Err(format!("{address} names no port"));
    }
    Ok(Some(address))
}

/// Reads the path of a file, or that there is none.
pub(super) fn path_or_none(text: &str) -> Option<PathBuf> {
    (!text.trim().is_empty()).then(|| PathBuf::from(text))
}

/// Writes it.
pub(super) fn path_text(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| path.display().to_string())
}

/// Reads whether something is so.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    text.trim()
        .parse()
        .map_err(|_| format!("{text:?} is neither true nor false"))
}

/// Reads whether clients need certificates.
pub(super) fn client_auth(text: &str) -> Result<ClientAuth, String> {
    ClientAuth::ALL
        .into_iter()
        .find(|it| it.name() == text.trim())
        .ok_or_else(|| format!("{text:?} is neither"))
}

/// Reads origins of web pages, as browsers write them.
pub(super) fn origins(text: &str) -> Result<Origins, String> {
    let listed: Vec<_> = text.split(',').map(str::trim).collect();
    match listed.as_slice() {
        [""] => Ok(Origins::None),
        ["*"] => Ok(Origins::Any),
        _ => {
            let origins = listed.into_iter().map(origin);
            Ok(Origins::Listed(origins.collect::<Result<_, _>>()?))
        }
    }
}

/// A scheme, a host and a port if it is not the usual one; nothing behind them.
fn origin(text: &str) -> Result<String, String> {
    let wrong = |why: &str| format!("{text:?} is not an origin: {why}");
    if text == "*" {
        return Err(wrong("* stands alone"));
    }
    let uri: http::Uri = text
        .parse()
        .map_err(|_| wrong("it begins with a scheme and a host"))?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err(wrong("it begins with a scheme and a host"));
    };
    if format!("{scheme}://{authority}") != text || authority.as_str().contains('@') {
        return Err(wrong(
            "nothing comes behind the host and its port, not even /",
        ));
    }
    if text.chars().any(|letter| letter.is_ascii_uppercase()) {
        return Err(wrong("browsers write it in lower case"));
    }
    Ok(text.to_owned())
}

/// Reads the path of a directory.
pub(super) fn directory(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("the value is empty".to_owned());
    }
    Ok(Path::new(text).to_owned())
}

/// Reads a filter of log lines.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("the value is empty".to_owned());
    }
    filter::parse(text).map(|_| text.to_owned())
}

/// Reads the format of log lines.
pub(super) fn log_format(text: &str) -> Result<LogFormat, String> {
    [LogFormat::Auto, LogFormat::Human, LogFormat::Json]
        .into_iter()
        .find(|format| format.name() == text.trim())
        .ok_or_else(|| format!("{text:?} is not a format"))
}

/// Reads a whole number within bounds.
pub(super) fn number<N>(text: &str, bounds: RangeInclusive<N>) -> Result<N, String>
where
    N: std::str::FromStr + PartialOrd + fmt::Display,
{
    let number = text
        .trim()
        .parse()
        .map_err(|_| format!("{text:?} is not such a number"))?;
    within(number, &bounds)
}

/// Reads a size: a number of bytes, or a number and a unit.
pub(super) fn size_bytes<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let not_a_size = || format!("{text:?} is not a size");
    let trimmed = text.trim();
    let digits_end = trimmed
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(trimmed.len());
    let (digits, unit) = trimmed.split_at(digits_end);
    let unit = unit.trim_start();
    let unit_bytes = if unit.is_empty() {
        1
    } else {
        let known = UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit));
        let unknown = || format!("{text:?} is not a size: the units are GiB, MiB, KiB and B");
        known.ok_or_else(unknown)?.1
    };
    if digits.is_empty() {
        return Err(not_a_size());
    }
    // Digits alone, so what is no number is too large for one.
    let too_large = || format!("{text:?} is too large");
    let count: u64 = digits.parse().map_err(|_| too_large())?;
    let bytes = count.checked_mul(unit_bytes).ok_or_else(too_large)?;
    let bytes = within(bytes, &(SIZE_BYTES_MIN..=SIZE_BYTES_MAX))?;
    N::try_from(bytes).map_err(|_| format!("{bytes} bytes are more than this machine can address"))
}

/// Reads a size of which there may be none.
pub(super) fn reserve_bytes(text: &str) -> Result<u64, String> {
    if text.trim() == "0" {
        return Ok(0);
    }
    size_bytes(text)
}

/// Writes it.
pub(super) fn reserve_text(bytes: u64) -> String {
    if bytes == 0 {
        return "0".to_owned();
    }
    size_text(bytes)
}

/// Writes a size in the largest unit in which it is a whole number.
pub(super) fn size_text(bytes: u64) -> String {
    UNITS
        .iter()
        .find(|(_, unit_bytes)| bytes.is_multiple_of(*unit_bytes))
        .map_or_else(
            || bytes.to_string(),
            |(name, unit_bytes)| format!("{}{name}", bytes / unit_bytes),
        )
}

fn within<N: PartialOrd + fmt::Display>(
    number: N,
    bounds: &RangeInclusive<N>,
) -> Result<N, String> {
    if number < *bounds.start() {
        Err(format!("{number} is too small"))
    } else if number > *bounds.end() {
        Err(format!("{number} is too large"))
    } else {
        Ok(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [
            ("134217728", 128 << 20),
            ("128MiB", 128 << 20),
            ("64 KiB", 64 << 10),
            (" 2 gib ", 2 << 30),
            ("65536B", 64 << 10),
        ] {
            assert_eq!(size_bytes::<u64>(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in [
            "",
            "MiB",
            "-1",
            "1.5GiB",
            "12 MB",
            "1_000_000",
            "0",
            "63KiB",
            "2048GiB",
            "99999999999999999999",
            "99999999999GiB",
        ] {
            assert!(size_bytes::<u64>(text).is_err(), "{text}");
        }
        for (text, expected) in [
            ("12 MB", "the units are GiB, MiB, KiB and B"),
            ("99999999999999999999", "too large"),
            ("99999999999GiB", "too large"),
            ("2048GiB", "too large"),
            ("63KiB", "too small"),
        ] {
            let wrong = size_bytes::<u64>(text).expect_err(text);
            assert!(wrong.contains(expected), "{wrong}");
        }
    }

    #[test]
    fn a_size_is_written_as_it_can_be_read() {
        for bytes in [65_536, 65_537, 128 << 20, 3 << 30] {
            assert_eq!(size_bytes::<u64>(&size_text(bytes)), Ok(bytes));
        }
        assert_eq!(size_text(128 << 20), "128MiB");
    }

    #[test]
    fn a_reserve_may_be_nothing() {
        for (text, bytes) in [("0", 0), ("64KiB", 64 << 10), ("256MiB", 256 << 20)] {
            assert_eq!(reserve_bytes(text), Ok(bytes));
            assert_eq!(reserve_text(bytes), text);
        }
        assert!(reserve_bytes("1").is_err() && reserve_bytes("").is_err());
    }

    #[test]
    fn an_address_may_be_left_out_where_there_need_be_none() {
        assert_eq!(address_or_none(" "), Ok(None));
        let address = "127.0.0.1:7422".parse().expect("an address");
        assert_eq!(address_or_none("127.0.0.1:7422"), Ok(Some(address)));
        assert!(address_or_none("127.0.0.1:0").is_err());
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["127.0.0.1:7421", "0.0.0.0:0", "[::1]:7421"] {
            assert!(address(text).is_ok(), "{text}");
        }
        for text in ["", "7421", "127.0.0.1", "localhost:7421", "127.0.0.1:99999"] {
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn origins_are_taken_as_browsers_write_them() {
        assert_eq!(origins(" "), Ok(Origins::None));
        assert_eq!(origins("*"), Ok(Origins::Any));
        let two = "https://app.example.com, http://localhost:5173";
        let listed = ["https://app.example.com", "http://localhost:5173"];
        let listed = Origins::Listed(listed.map(str::to_owned).to_vec());
        assert_eq!(origins(two), Ok(listed));
        for text in [
            "*,https://app.example.com",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/page",
            "https://App.example.com",
            "https://me@app.example.com",
            "https://",
            "null",
            ",",
        ] {
            assert!(origins(text).is_err(), "{text}");
        }
    }
}
