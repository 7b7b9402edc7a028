//! Where a file lies among the artifacts of a run or logged model.
//!
//! Paths come from clients and name rows, not files: content lies under its digest. They are still held to what is
//! safe to write out below a folder, on any system, and to one reading: a path that becomes another one when somebody
//! decodes it once more is refused. Most of MLflow's security advisories are about the lack of this.

use crate::{error::Error, wording::quoted};
use std::{borrow::Cow, fmt};

/// The most bytes of a path. It fits an index entry and every object store.
pub const MAX_PATH: usize = 1024;
/// The most bytes between two slashes: file systems take no more.
pub const MAX_NAME: usize = 255;

/// The path of a file below an artifact root: `model/MLmodel`. Relative, with `/`, without `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(String);

/// The path of a folder below an artifact root; empty for the root itself. Folders are where files are: they do not
/// exist by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactFolder(String);

impl ArtifactPath {
    /// Reads the path of a file, as it is after the request's own percent-encoding is undone.
    ///
    /// # Errors
    /// When it is empty, ends with a slash, leaves its root in any reading, or is too long.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.ends_with('/') {
            return Err(refused(text, "it names a folder, and a file is needed"));
        }
        let path = normal(text)?;
        if path.is_empty() {
            return Err(refused(text, "a file is needed"));
        }
        Ok(Self(path))
    }

    /// The path.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The last part: `MLmodel`.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(&self.0, |(_, name)| name)
    }

    /// The folder that it lies in.
    #[must_use]
    pub fn folder(&self) -> ArtifactFolder {
        ArtifactFolder(self.0.rsplit_once('/').map_or_else(String::new, |(folder, _)| folder.to_owned()))
    }

    /// The rest of the path below a folder, when it lies there, also deeper.
    #[must_use]
    pub fn below(&self, folder: &ArtifactFolder) -> Option<&str> {
        self.0.strip_prefix(&folder.prefix())
    }
}

impl ArtifactFolder {
    /// Reads the path of a folder, as it is after the request's own percent-encoding is undone. Empty text and `.`
    /// are the root.
    ///
    /// # Errors
    /// When it leaves its root in any reading, or is too long.
    pub fn parse(text: &str) -> Result<Self, Error> {
        normal(text).map(Self)
    }

    /// The root.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path; empty for the root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What the paths of all files in it begin with: `model/`, or nothing for the root.
    #[must_use]
    pub fn prefix(&self) -> String {
        if self.is_root() { String::new() } else { format!("{}/", self.0) }
    }

    /// The file that lies there below this folder.
    ///
    /// # Errors
    /// When the whole path is too long.
    pub fn file(&self, path: &ArtifactPath) -> Result<ArtifactPath, Error> {
        ArtifactPath::parse(&format!("{}{}", self.prefix(), path.0))
    }

    /// The same path as that of a file; nothing for the root.
    #[must_use]
    pub fn as_file(&self) -> Option<ArtifactPath> {
        (!self.is_root()).then(|| ArtifactPath(self.0.clone()))
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ArtifactFolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn refused(text: &str, reason: &str) -> Error {
    Error::invalid_field("path", format!("Invalid path {}: {reason}.", quoted(text)))
}

/// The path without `.` and doubled slashes, if it is one that stays below its root however often it is decoded.
fn normal(text: &str) -> Result<String, Error> {
    if text.len() > MAX_PATH {
        return Err(refused(text, &format!("it has {} bytes, and {MAX_PATH} are allowed", text.len())));
    }
    check(text).map_err(|reason| refused(text, reason))?;
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if let Some(long) = parts.iter().find(|part| part.len() > MAX_NAME) {
        return Err(refused(text, &format!("one of its names has {} bytes, and {MAX_NAME} are allowed", long.len())));
    }
    Ok(parts.join("/"))
}

/// Checks the path as it is, and in every form that further decoding gives it.
fn check(text: &str) -> Result<(), &'static str> {
    check_form(text)?;
    let Some(decoded) = decode_fully(text) else {
        return Err("it is percent-encoded too often, or what it encodes is no text");
    };
    if let Cow::Owned(_) = decoded {
        let mut form = Cow::Borrowed(text);
        while let Some(Cow::Owned(next)) = decode(&form) {
            check_form(&next).map_err(|_| "it becomes another path when it is decoded again")?;
            let same_parts = next.matches('/').count() == text.matches('/').count();
            if !same_parts || next.split('/').any(|part| part == ".") {
                return Err("it becomes another path when it is decoded again");
            }
            form = Cow::Owned(next);
        }
    }
    Ok(())
}

fn check_form(text: &str) -> Result<(), &'static str> {
    if text.chars().any(char::is_control) {
        return Err("it holds a control character");
    }
    if text.contains('\\') {
        return Err("it holds a backslash; folders are separated by /");
    }
    if text.contains(['?', '#']) {
        return Err("it holds ? or #");
    }
    if text.starts_with('/') {
        return Err("it must be relative");
    }
    // `C:`, `file:x`, `http://…`: a drive or an address where a folder is expected. `./` before it falls away.
    let first = text.split('/').find(|part| !part.is_empty() && *part != ".").unwrap_or_default();
    let is_drive = first.as_bytes().get(1) == Some(&b':') && first.starts_with(|c: char| c.is_ascii_alphabetic());
    if is_drive || first.ends_with(':') || first.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("file:")) {
        return Err("it must be relative, without a drive or scheme");
    }
    // Windows drops dots and spaces at the end, so that these would be `..` or `.` there.
    let leaves = |part: &str| part != "." && !part.is_empty() && part.chars().all(|c| matches!(c, '.' | ' '));
    if text.split('/').any(leaves) {
        return Err("it must stay in its folder");
    }
    Ok(())
}

/// The text with its percent-escapes undone until none is left. Borrowed when there is none; nothing when it takes
/// too many rounds or what comes out is not UTF-8.
pub(crate) fn decode_fully(text: &str) -> Option<Cow<'_, str>> {
    const ROUNDS: usize = 10;
    let mut form = Cow::Borrowed(text);
    for _ in 0..ROUNDS {
        match decode(&form)? {
            Cow::Borrowed(_) => return Some(form),
            Cow::Owned(next) => form = Cow::Owned(next),
        }
    }
    None
}

/// One round of decoding. A `%` that no two hexadecimal digits follow stays.
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut out: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(bytes.get(at + 1)), hex(bytes.get(at + 2))) {
            (b'%', Some(high), Some(low)) => {
                out.get_or_insert_with(|| bytes[..at].to_vec()).push((high * 16 + low) as u8);
                at += 3;
            }
            (byte, ..) => {
                if let Some(out) = &mut out {
                    out.push(byte);
                }
                at += 1;
            }
        }
    }
    match out {
        None => Some(Cow::Borrowed(text)),
        Some(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_relative_path_is_taken_as_it_is() {
        for text in [
            "model/MLmodel",
            "a",
            "Übersicht/plot 1.png",
            "日本.txt",
            "100%.txt",
            "a%zz",
            "50%25",
            "..hidden",
            "a..b/c...d",
            ".gitignore",
            "epoch=1-loss:0.5.ckpt",
            "x;y&z=1+2.csv",
            "~/notes",
            "a b/c.",
        ] {
            assert_eq!(ArtifactPath::parse(text).unwrap().as_str(), text);
            assert_eq!(ArtifactFolder::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_path_is_written_in_one_way() {
        for text in ["a/b", "./a/b", "a//b", "a/./b", "a/.//b"] {
            assert_eq!(ArtifactPath::parse(text).unwrap().as_str(), "a/b", "{text}");
        }
        for text in ["a/b/", "a/b//", "a/b/."] {
            assert_eq!(ArtifactFolder::parse(text).unwrap().as_str(), "a/b", "{text}");
        }
    }

    #[test]
    fn the_root_is_a_folder_and_no_file() {
        for text in ["", ".", "./"] {
            assert!(ArtifactFolder::parse(text).unwrap().is_root(), "{text:?}");
            assert!(ArtifactPath::parse(text).is_err(), "{text:?}");
        }
        assert!(ArtifactPath::parse("a/").is_err());
    }

    /// Shapes of published attacks on artifact paths and their relatives.
    #[test]
    fn a_path_that_leaves_its_root_is_refused_in_every_disguise() {
        let shapes = [
            // Straight.
            "..",
            "../",
            "../x",
            "a/../b",
            "a/..",
            "a/b/../../../etc/passwd",
            "../../../../etc/passwd",
            "./..",
            "a/./../..",
            "/etc/passwd",
            "/",
            "//etc",
            "//proc/self/root",
            "///etc",
            "a/../../",
            // Windows.
            "C:",
            "C:\\",
            "c:/",
            "C:\\Windows",
            "C:/Windows",
            "C:x",
            "c:..\\x",
            "\\",
            "\\\\host\\share",
            "\\\\?\\C:\\x",
            "..\\..\\x",
            "a\\..\\b",
            "a\\b",
            ".\\..",
            "..\\",
            "//./C:/x",
            ".. /x",
            "... /x",
            "a/.. ",
            "a/. ./b",
            "a/.../b",
            // Percent-encoded once, twice, thrice, and mixed.
            "%2e%2e/x",
            "%2E%2E%2Fx",
            "..%2f..",
            "a%2f..%2fb",
            "etc%2Fpasswd",
            "%2fetc",
            "%252e%252e%252fx",
            "..%252f",
            "%25252e%25252e%25252f",
            ".%2e/x",
            "%2e./x",
            "a/%2e%2e/b",
            "a/%2e/b",
            "%5c..%5c",
            "a%5cb",
            "%43:/x",
            "C%3A/x",
            "a%2fb",
            // Control characters, also inside an escape, where some parsers drop them.
            "a\0b",
            "a%00b",
            "%2500",
            "a\nb",
            "a\tb",
            "%2\t52e",
            "%2%0952e%2%0952e/",
            "a\rb",
            "\u{85}",
            "a%0d%0ab",
            "\u{7f}",
            // What is no text when it is decoded: overlong dots and slashes.
            "%c0%ae%c0%ae/x",
            "%c0%af",
            "%e0%80%ae",
            "%ff",
            // Behind a dot that falls away.
            "./C:/x",
            "././file:etc",
            "./http://host/x",
            "./:",
            // Addresses.
            "file:etc",
            "file:///etc",
            "FILE:/etc",
            "file://./etc",
            "http://host/x",
            "http:///etc",
            "ftp://host/a",
            "s3://b/k",
            "mlflow-artifacts://h/../../..",
            "mlflow-artifacts:/x",
            "local:/x",
            ":/x",
            "://x",
            "%66ile:/etc",
            // Queries and fragments that end a path early.
            "a?/a",
            "a#/a",
            "a?",
            "#",
            "a%3f/b",
            "a%23/b",
            "?/../../../../etc",
            "#/../../etc",
        ];
        for text in shapes {
            assert!(ArtifactPath::parse(text).is_err(), "file {text:?}");
            assert!(ArtifactFolder::parse(text).is_err(), "folder {text:?}");
        }
    }

    #[test]
    fn a_path_encoded_without_end_is_refused() {
        let text = format!("%{}2e", "25".repeat(20));
        assert!(ArtifactPath::parse(&text).is_err());
    }

    #[test]
    fn a_path_has_a_greatest_length() {
        let name = "x".repeat(MAX_NAME);
        assert!(ArtifactPath::parse(&name).is_ok());
        assert!(ArtifactPath::parse(&format!("{name}x")).is_err());
        assert!(ArtifactPath::parse(&"x/".repeat(MAX_PATH).repeat(1000)).is_err());
        let folder = ArtifactFolder::parse(&["x"; 500].join("/")).unwrap();
        assert!(folder.file(&ArtifactPath::parse("y").unwrap()).is_ok());
        assert!(folder.file(&ArtifactPath::parse(&name).unwrap()).is_err());
    }

    #[test]
    fn a_refusal_says_why_and_shows_no_raw_control_characters() {
        let error = ArtifactPath::parse("a\n/../b").unwrap_err();
        assert_eq!(error.message, r#"Invalid path "a\n/../b": it holds a control character."#);
        assert_eq!(error.field.as_deref(), Some("path"));
    }

    #[test]
    fn a_file_knows_its_folder() {
        let file = ArtifactPath::parse("model/data/model.onnx").unwrap();
        assert_eq!((file.file_name(), file.folder().as_str()), ("model.onnx", "model/data"));
        assert_eq!(file.below(&ArtifactFolder::parse("model").unwrap()), Some("data/model.onnx"));
        assert_eq!(file.below(&ArtifactFolder::root()), Some("model/data/model.onnx"));
        assert_eq!(file.below(&ArtifactFolder::parse("mod").unwrap()), None);
        let top = ArtifactPath::parse("MLmodel").unwrap();
        assert_eq!((top.file_name(), top.folder().is_root()), ("MLmodel", true));
        assert_eq!(ArtifactFolder::parse("m").unwrap().file(&top).unwrap().as_str(), "m/MLmodel");
        assert_eq!(ArtifactFolder::parse("m/x").unwrap().as_file().unwrap().as_str(), "m/x");
        assert_eq!(ArtifactFolder::root().as_file(), None);
    }

    proptest! {
        #[test]
        fn what_is_taken_stays_below_its_root_and_is_taken_again(text in "[a-c./\\\\%25ef:? ]{0,16}") {
            if let Ok(path) = ArtifactPath::parse(&text) {
                let decoded = decode_fully(path.as_str()).unwrap();
                for form in [path.as_str(), &*decoded] {
                    prop_assert!(!form.starts_with('/') && !form.contains('\\'));
                    prop_assert!(form.split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
                }
                prop_assert_eq!(ArtifactPath::parse(path.as_str()), Ok(path));
            }
        }

        #[test]
        fn no_text_breaks_the_reader(text in any::<String>()) {
            let _ = ArtifactPath::parse(&text);
            let _ = ArtifactFolder::parse(&text);
        }
    }
}
