//! The page of the docs: what one run came to stands between two marks, and a picture beside it.

use std::{fs, path::Path};

use crate::contender::Failure;

const BEGIN: &str = "<!-- measured: written by the program, do not edit -->\n";
const END: &str = "<!-- end of what was measured -->";

/// Puts a text between the marks of the page, and the picture beside it.
pub(crate) fn write(docs: &Path, text: &str, picture: &str) -> Result<(), Failure> {
    let page = docs.join("versus.md");
    let old = fs::read_to_string(&page)?;
    let (before, rest) = old.split_once(BEGIN).ok_or("the page has no first mark")?;
    let (_, after) = rest.split_once(END).ok_or("the page has no last mark")?;
    let shown = format!("{text}\n\n![the rates and delays as bars](versus.svg)");
    fs::write(&page, format!("{before}{BEGIN}\n{shown}\n\n{END}{after}"))?;
    fs::write(docs.join("versus.svg"), picture)?;
    Ok(())
}
